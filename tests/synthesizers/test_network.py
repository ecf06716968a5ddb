from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tabveil.synthesizers.tvae.kernel import (
    MAX_LOG_ODDS,
    Columns,
    Kernel,
    Slices,
    kernel_cross_entropy,
    kernel_parameters,
    log_mass,
    truncated_logistic,
)
from tabveil.synthesizers.tvae.network import TVAENetwork, draw_noise
from tabveil.synthesizers.tvae.tokenizer import fit_tokenizer, log_shares
from tabveil.synthesizers.tvae.training import rows_of


@pytest.fixture(scope="module")
def parts(table, metadata, quick):
    rng, config = np.random.default_rng(0), quick(dropout=0.0, min_bin_rows=50)
    tokenizer = fit_tokenizer(table, metadata, metadata.modelled_columns, config, rng)
    encoded = tokenizer.encode(table, rng)
    torch.manual_seed(0)
    network = TVAENetwork(tokenizer, config)
    network.start_at(log_shares(tokenizer, encoded, 8))
    return tokenizer, network.eval(), rows_of(encoded), config


def some_rows(rows, count):
    return rows.batch(slice(0, count), torch.device("cpu"))


def heads_of(network, rows, count, config):
    flat, features = network.inputs(*some_rows(rows, count))
    return network.decoder(flat, features, torch.randn(count, config.latent_dim))


@torch.no_grad()
def test_a_column_never_sees_itself_or_a_later_one(parts):
    _, network, rows, config = parts
    flat, features = network.inputs(*some_rows(rows, 8))
    z = torch.zeros(8, config.latent_dim)
    before = network.decoder(flat, features, z)
    for column in range(network.layout.num_columns):
        changed, shifted = flat.clone(), features.clone()
        changed[:, column] = network.offsets[column]
        if column in network.layout.numeric:
            at = network.layout.numeric.index(column) * 6
            shifted[:, at : at + 6] += 1.0
        after = network.decoder(changed, shifted, z)
        early = network.decoder.head_owner <= column
        assert torch.allclose(before[:, early], after[:, early], atol=1e-6)


@torch.no_grad()
def probabilities(network, heads, column, tokens, places):
    """Of every token of a column, (num_tokens,), at the first row; a bin's place is its middle."""
    size = network.layout.sizes[column]
    tokens, places = tokens[:1].repeat(size, 1), places[:1].repeat(size, 1)
    tokens[:, column] = torch.arange(size)
    free, *raw = heads[:1].repeat(size, 1).split([network.layout.num_tokens] + 2 * [len(network.layout.numeric)], dim=1)
    order = network.flat_order
    loss = kernel_cross_entropy(
        free,
        kernel_parameters(*raw),
        (tokens + network.offsets)[:, order],
        network.slices,
        Columns(network.flat_sizes, network.flat_owner),
    )
    return torch.exp(-loss[:, int(network.place_in_flat[column])])


def test_column_probabilities_sum_to_one(parts):
    _, network, rows, config = parts
    heads = heads_of(network, rows, 1, config)
    for column in range(network.layout.num_columns):
        shares = probabilities(network, heads, column, *some_rows(rows, 1))
        assert torch.isclose(shares.sum(), torch.tensor(1.0), atol=1e-5), column


@torch.no_grad()
def test_a_number_is_scored_as_a_density_over_its_slice(parts):
    """The loss of the places inside one bin, averaged with their density, is that of the bin's probability."""
    _, network, rows, config = parts
    column = network.layout.numeric[0]
    tokens, places = some_rows(rows, 1)
    heads = heads_of(network, rows, 1, config)
    token = int(torch.nonzero(network.is_bin[: network.layout.sizes[column]])[3])
    probability = probabilities(network, heads, column, tokens, places)[token]
    tokens, places = tokens.repeat(2001, 1), places.repeat(2001, 1)
    tokens[:, column] = token
    flat = network.layout.offsets[column] + token
    places[:, 0] = torch.linspace(float(network.low[flat]), float(network.high[flat]), 2001)
    density = torch.exp(-network.column_loss(heads.repeat(2001, 1), tokens, places)[:, column])
    assert torch.isclose(density.mean(), probability, rtol=1e-3)


def plain_cross_entropy(free, middle, sharpness, flat, slices, columns):
    """The same by autograd, slice by slice."""
    logits = free.clone()
    for token, row in enumerate(slices.row.tolist()):
        if slices.real[token]:
            low, high = ((slices.edges[at] - middle[:, row]) * sharpness[:, row] for at in (token - 1, token))
            logits[:, token] = logits[:, token] + torch.log(torch.sigmoid(high) - torch.sigmoid(low))
    losses, start = [], 0
    for column, size in enumerate(columns.sizes):
        part = logits[:, start : start + size]
        losses.append(part.logsumexp(1) - logits.gather(1, flat[:, column : column + 1])[:, 0])
        start += size
    return torch.stack(losses, dim=1)


def test_the_cross_entropy_and_its_gradient_are_those_of_autograd():
    torch.manual_seed(0)
    double = torch.float64
    edges = torch.tensor([0, 0.2, 0.5, 1.0, 0, 0.7, 1.0], dtype=double)
    real = torch.tensor([0, 1, 1, 1, 0, 1, 1], dtype=double)
    row = torch.tensor([0, 0, 0, 0, 1, 1, 1])
    width = torch.where(real > 0, edges - edges.roll(1), 1.0)
    slices = Slices(edges, width, real, row, torch.nn.functional.one_hot(row).to(double))
    columns = Columns((4, 3, 3), torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 2]))
    flat = torch.tensor([[1, 6, 9], [0, 5, 7], [3, 4, 8]])
    free, middle = torch.randn(3, 10, dtype=double), torch.rand(3, 2, dtype=double)
    inputs = [free, middle, 0.5 + 20 * torch.rand(3, 2, dtype=double)]
    inputs = [part.requires_grad_() for part in inputs]
    weights = torch.rand(3, 3, dtype=double)

    def ours(free, middle, sharpness):
        return kernel_cross_entropy(free, Kernel(middle, sharpness), flat, slices, columns)

    assert torch.allclose(ours(*inputs), plain_cross_entropy(*inputs, flat, slices, columns))
    gradients = [
        torch.autograd.grad((loss * weights).sum(), inputs)
        for loss in (ours(*inputs), plain_cross_entropy(*inputs, flat, slices, columns))
    ]
    assert all(torch.allclose(a, b, rtol=1e-8) for a, b in zip(*gradients, strict=True))


@pytest.mark.parametrize("num_likely", [1, 2, 50])
@pytest.mark.parametrize("num_rows", [1, 512, 4096])
def test_the_gradient_survives_where_the_token_is_next_to_impossible(num_likely, num_rows):
    """In 32 bits without denormal numbers, as in training; the loss is cut, the direction is not."""
    free = torch.zeros(num_rows, 60)
    free[:, 1 : 1 + num_likely] = 100.0
    free.requires_grad_()
    empty, columns = torch.empty(0), Columns((60,), torch.zeros(60, dtype=torch.int64))
    slices = Slices(empty, empty, empty, empty.long(), torch.empty(0, 0))
    flat = torch.zeros(num_rows, 1, dtype=torch.int64)
    torch.set_flush_denormal(True)
    try:
        loss = kernel_cross_entropy(free, Kernel(*[torch.empty(num_rows, 0)] * 2), flat, slices, columns)
        (gradient,) = torch.autograd.grad(loss.mean(), free)
    finally:
        torch.set_flush_denormal(False)
    assert torch.allclose(loss, torch.tensor(MAX_LOG_ODDS + math.log(num_likely)), rtol=1e-5)
    expected = (torch.softmax(free.detach(), 1) - torch.nn.functional.one_hot(flat[:, 0], 60)) / num_rows
    assert torch.allclose(gradient, expected, rtol=1e-4, atol=1e-9)


def test_dropout_keeps_the_mean_and_drops_the_share_asked_for():
    torch.manual_seed(0)
    noise = draw_noise(1000, 3, 301, 0.25, torch.device("cpu"))
    assert noise.latent.shape == (1000, 3)
    assert noise.kept.shape == (1000, 301)
    assert abs(float((noise.kept == 0).float().mean()) - 0.25) < 0.005
    assert abs(float(noise.kept.mean()) - 1) < 0.01
    assert torch.equal(noise.rows(slice(7, 9)).kept, noise.kept[7:9])
    assert draw_noise(10, 3, 301, 0.001, torch.device("cpu")).kept is None


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
        drawn = truncated_logistic(bounds[0], bounds[1], Kernel(bounds[2], bounds[3]), uniform)
        assert drawn.min() >= low - 1e-9
        assert drawn.max() <= high + 1e-9
        half = low + (high - low) / 2
        edges = torch.tensor([low, half, high], dtype=torch.float64).sub(middle).mul(sharpness)
        share = torch.exp(log_mass(edges[:1], edges[1:2]) - log_mass(edges[:1], edges[2:]))
        assert abs(float((drawn <= half).double().mean() - share)) < 0.02
