from __future__ import annotations

import numpy as np
import pytest
import torch

from tabveil.synthesizers.tvae.network import TVAENetwork, kernel_parameters, layout_of, log_mass, segment_log_sum_exp
from tabveil.synthesizers.tvae.sampling import truncated_logistic
from tabveil.synthesizers.tvae.tokenizer import fit_tokenizer, log_shares
from tabveil.synthesizers.tvae.training import rows_of


@pytest.fixture(scope="module")
def parts(table, metadata, quick):
    rng, config = np.random.default_rng(0), quick(dropout=0.0)
    tokenizer = fit_tokenizer(table, metadata, metadata.modelled_columns, config, rng)
    encoded = tokenizer.encode(table, rng)
    torch.manual_seed(0)
    shares = torch.from_numpy(log_shares(tokenizer, encoded, 8))
    return tokenizer, TVAENetwork(layout_of(tokenizer), config, shares).eval(), rows_of(encoded), config


@torch.no_grad()
def test_a_column_never_sees_itself_or_a_later_one(parts):
    _, network, rows, config = parts
    flat, z = rows.tokens[:8] + network.offsets, torch.zeros(8, config.latent_dim)
    before = network.decoder(flat, rows.features[:8], z)
    for column in range(network.layout.num_columns):
        changed, features = flat.clone(), rows.features[:8].clone()
        changed[:, column] = network.offsets[column]
        if column in network.layout.numeric:
            at = network.layout.numeric.index(column) * 6
            features[:, at : at + 6] += 1.0
        after = network.decoder(changed, features, z)
        early = network.decoder.head_owner <= column
        assert torch.allclose(before[:, early], after[:, early], atol=1e-6)


@torch.no_grad()
def test_column_probabilities_sum_to_one(parts):
    _, network, rows, config = parts
    heads = network.decoder(rows.tokens[:5] + network.offsets, rows.features[:5], torch.randn(5, config.latent_dim))
    logits = network.logits(heads)[0]
    total = segment_log_sum_exp(logits, network.layout.sizes, network.owner)
    for column, part in enumerate((logits - total[:, network.owner]).exp().split(list(network.layout.sizes), dim=1)):
        assert torch.allclose(part.sum(1), torch.ones(5), atol=1e-5), column


@torch.no_grad()
def test_a_number_is_scored_as_a_density_over_its_slice(parts):
    """The loss of the places inside one bin, averaged with their density, is that of the bin's probability."""
    _, network, rows, config = parts
    column = network.layout.numeric[0]
    heads = network.decoder(rows.tokens[:1] + network.offsets, rows.features[:1], torch.randn(1, config.latent_dim))
    heads = heads.repeat(2001, 1)
    token = int(torch.nonzero(network.layout.is_bin)[3])
    tokens = rows.tokens[:1].repeat(2001, 1)
    tokens[:, column] = token - network.layout.offsets[column]
    places = rows.places[:1].repeat(2001, 1)
    low, high = network.layout.low[token], network.layout.high[token]
    places[:, 0] = torch.linspace(float(low), float(high), 2001)
    density = torch.exp(-network.column_loss(heads, tokens, places)[:, column])
    logits = network.logits(heads)[0]
    total = segment_log_sum_exp(logits, network.layout.sizes, network.owner)
    probability = torch.exp(logits[0, token] - total[0, column])
    assert torch.isclose(density.mean(), probability, rtol=1e-3)


def test_segment_log_sum_exp_has_the_right_gradient():
    logits = torch.randn(3, 7, dtype=torch.float64, requires_grad=True)
    owner = torch.tensor([0, 0, 1, 1, 1, 2, 2])
    assert torch.autograd.gradcheck(lambda x: segment_log_sum_exp(x, (2, 3, 2), owner), (logits,))


def test_log_mass_matches_the_sigmoid_and_stays_finite_far_out():
    low, high = torch.tensor([-2.0, 0.1], dtype=torch.float64), torch.tensor([1.0, 0.4], dtype=torch.float64)
    assert torch.allclose(log_mass(low, high), torch.log(torch.sigmoid(high) - torch.sigmoid(low)))
    far = log_mass(torch.tensor([300.0, -900.0, -400.0]), torch.tensor([301.0, -500.0, 400.0]))
    assert torch.isfinite(far).all()
    assert far[2].abs() < 1e-3


def test_kernel_parameters_are_bounded():
    raw = torch.tensor([-1e6, -3.0, 0.0, 3.0, 1e6])
    middle, sharpness = kernel_parameters(raw, raw)
    assert middle.min() >= -0.25
    assert middle.max() <= 1.25
    assert sharpness.min() >= 0.0499
    assert sharpness.max() <= 400.1


@pytest.mark.parametrize("sharpness", [0.05, 5.0, 400.0])
def test_the_truncated_logistic_stays_inside_and_follows_its_density(sharpness):
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(20_000, generator=generator, dtype=torch.float64)
    for low, high, middle in ((0.4, 0.6, 0.5), (0.0, 0.1, 1.2), (0.9, 1.0, -0.2), (0.0, 1.0, 0.3)):
        bounds = [torch.full_like(uniform, v) for v in (low, high, middle, sharpness)]
        drawn = truncated_logistic(*bounds, uniform)
        assert drawn.min() >= low - 1e-9
        assert drawn.max() <= high + 1e-9
        half = low + (high - low) / 2
        edges = torch.tensor([low, half, high], dtype=torch.float64).sub(middle).mul(sharpness)
        share = torch.exp(log_mass(edges[:1], edges[1:2]) - log_mass(edges[:1], edges[2:]))
        assert abs(float((drawn <= half).double().mean() - share)) < 0.02
