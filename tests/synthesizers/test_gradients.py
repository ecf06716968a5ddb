from __future__ import annotations

import numpy as np
import pytest
import torch

from tabveil.synthesizers import create_synthesizer, tvae
from tabveil.synthesizers.runtime import isolated
from tabveil.synthesizers.tvae import training
from tabveil.synthesizers.tvae.gradients import Batch, clip_gradients, differentiate
from tabveil.synthesizers.tvae.network import TVAENetwork
from tabveil.synthesizers.tvae.parallel import worker_threads
from tabveil.synthesizers.tvae.tokenizer import fit_tokenizer
from tabveil.synthesizers.tvae.training import rows_of


@pytest.fixture(scope="module")
def network_and_batch(table, metadata, quick):
    rng, config = np.random.default_rng(0), quick()
    tokenizer = fit_tokenizer(table, metadata, metadata.modelled_columns, config, rng)
    torch.manual_seed(0)
    network = TVAENetwork(tokenizer, config)
    tokens, places = rows_of(tokenizer.encode(table, rng)).batch(slice(0, 101), torch.device("cpu"))
    return network, Batch(tokens, places, network.noise(101, 0.2))


def loss_and_gradients(network, batch, num_threads):
    with isolated(0, 1), worker_threads(num_threads, 2) as pieces:
        loss = differentiate(network, batch, 0.5, pieces)
    return loss, [parameter.grad for parameter in network.parameters()]


def test_the_pieces_have_the_gradient_of_the_mean_loss_of_the_batch(network_and_batch):
    network, batch = network_and_batch
    loss, gradients = loss_and_gradients(network, batch, 1)
    cells, divergence = network.elbo(*batch)
    whole = cells.sum(1).mean() + 0.5 * divergence.mean()
    assert loss == pytest.approx(float(whole.detach()), rel=1e-5)
    expected = torch.autograd.grad(whole, list(network.parameters()), allow_unused=True, materialize_grads=True)
    masks = {id(layer.weight): layer.mask for layer in network.decoder.masked_layers}
    for parameter, ours, theirs in zip(network.parameters(), gradients, expected, strict=True):
        assert torch.allclose(ours, theirs * masks.get(id(parameter), 1), rtol=1e-3, atol=1e-5)
    assert len(masks) == 4


@pytest.mark.parametrize("most", [0.1, 1e6])
def test_gradients_are_clipped_as_by_torch(most):
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((3, 4), (5,), ())]
    for parameter in ours:
        parameter.grad = torch.randn(parameter.shape)
    theirs = [torch.nn.Parameter(torch.zeros(p.shape)) for p in ours]
    for parameter, other in zip(ours, theirs, strict=True):
        other.grad = parameter.grad.clone()
    clip_gradients(ours, most)
    torch.nn.utils.clip_grad_norm_(theirs, most)
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(ours, theirs, strict=True))


def test_validation_is_scored_in_bounded_pieces(table, metadata, quick, monkeypatch):
    sizes, elbo = [], TVAENetwork.elbo

    def watched(network, tokens, places, noise):
        if not torch.is_grad_enabled():
            sizes.append(len(tokens))
        return elbo(network, tokens, places, noise)

    losses = []
    for most in (10**6, 40):
        sizes.clear()
        monkeypatch.setattr(TVAENetwork, "elbo", watched)
        monkeypatch.setattr(training, "rows_at_once", lambda num_tokens, most=most: most)
        synthesizer = create_synthesizer(quick(max_steps=5, validate_every=5, validation_fraction=0.4))
        synthesizer.fit(table, metadata)
        losses.append(synthesizer.loss_curve["validation"].dropna().to_numpy())
        assert 0 < max(sizes) <= most // 2
    assert np.allclose(*losses, rtol=1e-5)


def test_training_keeps_the_autoregressive_matrices_masked(table, metadata, quick):
    synthesizer = create_synthesizer(quick(max_steps=5, weight_decay=1))
    synthesizer.fit(table, metadata)
    for layer in synthesizer._model[1].decoder.masked_layers:
        assert layer.is_masked
        assert (layer.weight[layer.mask == 1] != 0).all()


def test_one_piece_as_on_a_gpu_has_the_same_gradient(network_and_batch, monkeypatch):
    network, batch = network_and_batch
    loss, gradients = loss_and_gradients(network, batch, 1)
    monkeypatch.setattr(tvae.gradients, "NUM_PIECES", 1)
    whole, others = loss_and_gradients(network, batch, 2)
    assert whole == pytest.approx(loss, rel=1e-6)
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-5) for a, b in zip(gradients, others, strict=True))


def test_a_batch_of_one_row_is_one_piece(network_and_batch):
    network, batch = network_and_batch
    loss, _ = loss_and_gradients(network, batch.rows(slice(0, 1)), 2)
    assert np.isfinite(loss)


def test_threads_change_no_bit_of_loss_and_gradients(network_and_batch):
    network, batch = network_and_batch
    loss, gradients = loss_and_gradients(network, batch, 1)
    for num_threads in (0, 2, 5):
        again, others = loss_and_gradients(network, batch, num_threads)
        assert again == loss
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(gradients, others, strict=True))


def test_threads_change_no_byte_of_a_model_and_of_its_likelihoods(table, metadata, quick, tmp_path):
    models = []
    for num_threads in (1, 2):
        model = create_synthesizer(quick(num_threads=num_threads, sampling_threads=num_threads, max_steps=30))
        model.fit(table, metadata)
        model.save(tmp_path / str(num_threads))
        models.append(model)
    first, second = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("1", "2"))
    assert first == second
    assert np.array_equal(*(model.log_prob(table) for model in models))


def test_an_error_in_a_thread_ends_the_training(table, metadata, quick, monkeypatch):
    def fail(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(TVAENetwork, "elbo", fail)
    with pytest.raises(MemoryError, match="no room"):
        create_synthesizer(quick(num_threads=2)).fit(table, metadata)
