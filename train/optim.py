"""Optimisers and the polynomial learning-rate schedule."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.lr_scheduler import LambdaLR

from .settings import OptimizerSettings


def build_optimizer(
    groups: list[dict[str, Any]], settings: OptimizerSettings
) -> torch.optim.Optimizer:
    """Optimiser over parameter groups that carry their own learning rates."""
    if settings.name == "sgd":
        return torch.optim.SGD(
            groups,
            lr=settings.lr,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
    return torch.optim.AdamW(groups, lr=settings.lr, weight_decay=settings.weight_decay)


def poly_schedule(
    optimizer: torch.optim.Optimizer, settings: OptimizerSettings, steps: int
) -> LambdaLR:
    """`(1 − step/horizon)^power` after a linear warm-up, advanced once a step."""
    horizon = settings.horizon or steps

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
        return float(warm * max(0.0, 1 - step / horizon) ** settings.power)

    return LambdaLR(optimizer, factor)
