"""Optimisers and the polynomial learning-rate schedule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from .settings import OptimizerSettings

DISCRIMINATOR = "discriminator"
"""Name of the parameter groups that are a discriminator's."""
_BETAS = (0.9, 0.99)  # of its Adam, as AdvEnt has it


class SgdAndAdam(Optimizer):
    """SGD for the network and Adam for its discriminators, as one optimiser.

    The two work on the groups and the state that it shows, so that schedule, loss scaling and
    checkpoints see nothing of them.
    """

    def __init__(self, sgd: SGD, adam: Adam) -> None:
        super().__init__([*sgd.param_groups, *adam.param_groups], {})
        self._sgd, self._adam = sgd, adam
        self._share()

    def _share(self) -> None:
        count = len(self._sgd.param_groups)
        self._sgd.param_groups = self.param_groups[:count]
        self._adam.param_groups = self.param_groups[count:]
        self._sgd.state = self._adam.state = self.state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._share()

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None if closure is None else closure()
        self._sgd.step()
        self._adam.step()
        return loss


def build_optimizer(groups: list[dict[str, Any]], settings: OptimizerSettings) -> Optimizer:
    """Optimiser over named parameter groups that carry their own learning rates.

    A discriminator hardly moves by SGD at its learning rate: beside `sgd` it takes Adam.
    """
    if settings.name == "adamw":
        return AdamW(groups, lr=settings.lr, weight_decay=settings.weight_decay)
    told = [group for group in groups if group["name"] == DISCRIMINATOR]
    sgd = SGD(
        [group for group in groups if group["name"] != DISCRIMINATOR],
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )
    return SgdAndAdam(sgd, Adam(told, betas=_BETAS)) if told else sgd


def poly_schedule(optimizer: Optimizer, settings: OptimizerSettings, steps: int) -> LambdaLR:
    """`(1 − step/horizon)^power` after a linear warm-up, advanced once a step."""
    horizon = settings.horizon or steps

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
        return float(warm * max(0.0, 1 - step / horizon) ** settings.power)

    return LambdaLR(optimizer, factor)
