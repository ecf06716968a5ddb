"""The loss of a batch and its gradient, computed in pieces side by side.

The pieces are the same whatever the number of threads, and are added in order: so are the bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from tabveil.synthesizers.tvae.network import Noise, TVAENetwork
from tabveil.synthesizers.tvae.parallel import Pieces, split_evenly

NUM_PIECES = 2  # of a batch on a processor


class Batch(NamedTuple):
    """Rows of one step: tokens int64 (num_rows, num_columns), places (num_rows, num_numeric), and their noise."""

    tokens: Tensor
    places: Tensor
    noise: Noise

    def rows(self, part: slice) -> Batch:
        """Some of them."""
        return Batch(self.tokens[part], self.places[part], self.noise.rows(part))


def num_pieces(device: torch.device) -> int:
    """Pieces of a batch; a GPU computes it at once."""
    return NUM_PIECES if device.type == "cpu" else 1


def differentiate(network: TVAENetwork, batch: Batch, beta: float, pieces: Pieces) -> float:
    """Set the parameters' gradients to those of the batch's mean loss.

    Args:
        beta: weight of the KL term.

    Returns:
        The loss per row, in nats.
    """
    parameters, count = list(network.parameters()), len(batch.tokens)
    parts = split_evenly(count, num_pieces(network.device))

    def piece(i: int) -> tuple[float, tuple[Tensor, ...]]:
        cells, divergence = network.elbo(*batch.rows(parts[i]))
        loss = (cells.sum() + beta * divergence.sum()) / count
        return float(loss.detach()), torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)

    losses, gradients = zip(*pieces(piece, len(parts)), strict=True)
    for others in gradients[1:]:
        torch._foreach_add_(gradients[0], others)
    for parameter, gradient in zip(parameters, gradients[0], strict=True):
        parameter.grad = gradient
    for layer in network.decoder.masked_layers:
        layer.mask_gradient()
    return float(sum(losses))


def clip_gradients(parameters: Iterable[nn.Parameter], most: float) -> None:
    """Scale the gradients, which every parameter must have, to a joint norm of at most `most`.

    As `torch.nn.utils.clip_grad_norm_`, which also multiplies by one where they are within it.
    """
    gradients = [cast(Tensor, parameter.grad) for parameter in parameters]
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    if norm > most:
        torch._foreach_mul_(gradients, most / (norm + 1e-6))
