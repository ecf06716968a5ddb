"""log p(x) of given rows under a fitted TVAE: the importance-weighted bound of Burda et al. 2016 (arXiv 1509.00519)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tabveil.synthesizers.tvae.network import TVAENetwork
from tabveil.synthesizers.tvae.training import Rows

BATCH_ROWS = 4096


@torch.inference_mode()
def log_likelihood(network: TVAENetwork, rows: Rows, num_draws: int, generator: torch.Generator) -> Tensor:
    """Log mean over draws z ~ q(z|x) of p(x|z) p(z) / q(z|x), in nats, float32 (num_rows,).

    A lower bound in expectation that tightens with `num_draws`.
    """
    starts = range(0, len(rows), BATCH_ROWS)
    parts = [_bound(network, rows[slice(start, start + BATCH_ROWS)], num_draws, generator) for start in starts]
    return torch.cat(parts)


def _bound(network: TVAENetwork, rows: Rows, num_draws: int, generator: torch.Generator) -> Tensor:
    flat = rows.tokens + network.offsets
    mean, log_variance = network.encoder(flat, rows.features)
    ratios = []
    for _ in range(num_draws):
        noise = torch.randn(mean.shape, generator=generator)
        z = mean + noise * torch.exp(0.5 * log_variance)
        cells = network.column_loss(network.decoder(flat, rows.features, z), rows.tokens, rows.places)
        prior_over_posterior = 0.5 * (noise.square() + log_variance - z.square()).sum(1)
        ratios.append(prior_over_posterior - cells.sum(1))
    return torch.logsumexp(torch.stack(ratios), dim=0) - math.log(num_draws)
