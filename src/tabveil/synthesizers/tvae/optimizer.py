"""AdamW by torch's fused kernel.

Not `torch.optim.AdamW`: when that class is made, it loads torch's compiler, which takes seconds and many megabytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

BETAS, EPSILON = (0.9, 0.99), 1e-8
MOMENTS = ("first", "second", "step")


@dataclass(frozen=True)
class Group:
    """Parameters with the same weight decay."""

    parameters: list[nn.Parameter]
    weight_decay: float


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019, arXiv 1711.05101).

    Args:
        groups: every parameter once.
    """

    def __init__(self, groups: Iterable[Group]) -> None:
        self.groups = list(groups)
        self._moments = [[self._started(parameter) for parameter in group.parameters] for group in self.groups]

    @staticmethod
    def _started(parameter: nn.Parameter) -> dict[str, Tensor]:
        zeros = (torch.zeros_like(parameter), torch.zeros_like(parameter), torch.zeros((), device=parameter.device))
        return dict(zip(MOMENTS, zeros, strict=True))

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Move every parameter by its gradient, which it must have."""
        for group, moments in zip(self.groups, self._moments, strict=True):
            first, second, step = ([moment[name] for moment in moments] for name in MOMENTS)
            gradients = [cast(Tensor, parameter.grad) for parameter in group.parameters]
            adamw(
                [parameter.data for parameter in group.parameters],
                gradients,
                first,
                second,
                [],
                step,
                fused=True,
                amsgrad=False,
                beta1=BETAS[0],
                beta2=BETAS[1],
                lr=learning_rate,
                weight_decay=group.weight_decay,
                eps=EPSILON,
                maximize=False,
            )

    def state(self) -> dict[str, Tensor]:
        """The moments by name, `<group>.<parameter>.<moment>`."""
        return {f"{at}.{name}": moment[name] for at, moment in self._numbered() for name in MOMENTS}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Inverse of `state`."""
        for at, moment in self._numbered():
            for name in MOMENTS:
                moment[name].copy_(state[f"{at}.{name}"])

    def _numbered(self) -> list[tuple[str, dict[str, Tensor]]]:
        return [(f"{i}.{k}", moment) for i, moments in enumerate(self._moments) for k, moment in enumerate(moments)]
