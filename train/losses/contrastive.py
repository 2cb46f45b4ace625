"""Contrast of pixel features against class prototypes (CFContra, Tang et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cfcontra.label_space import IGNORE_INDEX

# In place of minus infinity, whose gradient is not a number where no prototype exists at all.
_NEVER = -1e9

Prototypes = tuple[Tensor, Tensor]
"""L2-normalised prototypes `[C, D]`, constant, and which of them exist, bool `[C]`."""


def prototype_contrast(
    features: Tensor,
    labels: Tensor,
    banks: Sequence[Prototypes],
    temperature: float,
    balance: bool = False,
) -> list[Tensor]:
    """Cross-entropy over `z·pᵀ/τ`: pull to the own class's prototype, away from the others'.

    One matrix product for all pixels, classes and banks, in float32 whatever the precision
    around it. Classes that a bank has not seen are neither pulled to nor pushed from; their
    pixels are left out.

    Args:
        features: L2-normalised `[P, D]`, one row a pixel.
        labels: class of each pixel, long `[P]`, 255 ignored.
        banks: what to hold the features against.
        temperature: τ.
        balance: average within each class first, then over the classes present.

    Returns:
        For each bank a scalar; zero (with a zero gradient) where no pixel counts.
    """
    with torch.autocast(features.device.type, enabled=False):
        prototypes = torch.cat([prototypes for prototypes, _ in banks]).float()
        similarity = features.float() @ (prototypes / temperature).t()
    parts: tuple[Tensor, ...] = torch.split(similarity, [len(seen) for _, seen in banks], dim=1)
    return [
        _cross_entropy(part, labels, seen, balance)
        for part, (_, seen) in zip(parts, banks, strict=True)
    ]


def _cross_entropy(similarity: Tensor, labels: Tensor, seen: Tensor, balance: bool) -> Tensor:
    counted = labels != IGNORE_INDEX
    counted = counted & seen[labels.where(counted, 0)]
    usable = labels.where(counted, IGNORE_INDEX)
    losses = F.cross_entropy(
        similarity.masked_fill(~seen, _NEVER), usable, ignore_index=IGNORE_INDEX, reduction="none"
    )
    if not balance:
        return losses.sum() / counted.sum().clamp(min=1)
    counts = counted.new_zeros(len(seen), dtype=torch.float32)
    counts.index_add_(0, usable.where(counted, 0), counted.float())
    weights = 1.0 / counts.clamp(min=1)
    return (losses * weights[usable.where(counted, 0)]).sum() / (counts > 0).sum().clamp(min=1)
