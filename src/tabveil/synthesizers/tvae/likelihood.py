"""log p(x) of given rows under a fitted TVAE: the importance-weighted bound of Burda et al. 2016 (arXiv 1509.00519)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tabveil.synthesizers.tvae.memory import rows_at_once
from tabveil.synthesizers.tvae.network import TVAENetwork
from tabveil.synthesizers.tvae.parallel import side_by_side
from tabveil.synthesizers.tvae.training import Rows


def log_likelihood(network: TVAENetwork, rows: Rows, num_draws: int, seed: int, num_threads: int = 1) -> Tensor:
    """Log mean over draws z ~ q(z|x) of p(x|z) p(z) / q(z|x), in nats, float32 (num_rows,).

    A lower bound in expectation that tightens with `num_draws`. It does not depend on `num_threads`; see
    `parallel.side_by_side`.
    """
    size = rows_at_once(network.layout.num_tokens)

    def part(generator: torch.Generator, i: int) -> Tensor:
        return _bound(network, rows, slice(i * size, (i + 1) * size), num_draws, generator)

    return torch.cat(side_by_side(part, -(-len(rows) // size), seed, num_threads))


def _bound(network: TVAENetwork, rows: Rows, part: slice, num_draws: int, generator: torch.Generator) -> Tensor:
    device = network.device
    tokens, places = rows.batch(part, device)
    flat, features = network.inputs(tokens, places)
    mean, log_variance = network.encoder(flat, features)
    ratios = []
    for _ in range(num_draws):
        noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(device)
        z = mean + noise * torch.exp(0.5 * log_variance)
        cells = network.column_loss(network.decoder(flat, features, z), tokens, places)
        prior_over_posterior = 0.5 * (noise.square() + log_variance - z.square()).sum(1)
        ratios.append(prior_over_posterior - cells.sum(1))
    return torch.logsumexp(torch.stack(ratios), dim=0).cpu() - math.log(num_draws)
