"""Contrast of pixel features against class prototypes (CFContra, Tang et al. 2021)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cfcontra.label_space import IGNORE_INDEX


def prototype_contrast(
    features: Tensor,
    labels: Tensor,
    prototypes: Tensor,
    seen: Tensor,
    temperature: float,
    balance: bool = False,
) -> Tensor:
    """Cross-entropy over `z·pᵀ/τ`: pull to the own class's prototype, away from the others'.

    One matrix product for all pixels and classes. Classes that the bank has not seen are
    neither pulled to nor pushed from; their pixels are left out.

    Args:
        features: L2-normalised `[P, D]`, one row a pixel.
        labels: class of each pixel, long `[P]`, 255 ignored.
        prototypes: L2-normalised `[C, D]`, constant.
        seen: bool `[C]`, which prototypes exist.
        temperature: τ.
        balance: average within each class first, then over the classes present.

    Returns:
        Scalar; zero (with a zero gradient) where no pixel counts.
    """
    similarity = features.float() @ prototypes.float().t() / temperature
    similarity = similarity.masked_fill(~seen, float("-inf"))
    counted = labels != IGNORE_INDEX
    counted = counted & seen[labels.where(counted, 0)]
    usable = labels.where(counted, IGNORE_INDEX)
    if not bool(seen.any()):
        return features.sum() * 0.0
    losses = F.cross_entropy(similarity, usable, ignore_index=IGNORE_INDEX, reduction="none")
    if not balance:
        return losses.sum() / counted.sum().clamp(min=1)
    counts = torch.bincount(usable[counted], minlength=len(prototypes))
    weights = 1.0 / counts.clamp(min=1)
    return (losses * weights[usable.where(counted, 0)]).sum() / (counts > 0).sum().clamp(min=1)
