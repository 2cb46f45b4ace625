"""Classes for target pixels that have none; ambiguous pixels are ignored."""

from __future__ import annotations

import torch
from torch import Tensor

from cfcontra.label_space import IGNORE_INDEX


@torch.no_grad()
def labels_by_margin(features: Tensor, prototypes: Tensor, seen: Tensor, margin: float) -> Tensor:
    """Nearest prototype by cosine, where it leads the second nearest by `margin`.

    Args:
        features: L2-normalised `[P, D]`.
        prototypes: L2-normalised `[C, D]`.
        seen: bool `[C]`; prototypes not seen are no candidates.

    Returns:
        Long `[P]`, 255 where ambiguous, or everywhere with fewer than two candidates.
    """
    if int(seen.sum()) < 2:
        return torch.full((len(features),), IGNORE_INDEX, device=features.device)
    with torch.autocast(features.device.type, enabled=False):
        similarity = features.float() @ prototypes.float().t()
    similarity = similarity.masked_fill(~seen, -2.0)
    (best, second), classes = (part.unbind(1) for part in similarity.topk(2, dim=1))
    return classes[0].where(best - second >= margin, IGNORE_INDEX)


@torch.no_grad()
def labels_by_confidence(logits: Tensor, threshold: float) -> Tensor:
    """The classifier's class where its probability reaches `threshold`.

    Args:
        logits: `[N, C, h, w]`.

    Returns:
        Long `[N, h, w]`, 255 where not confident.
    """
    confidence, classes = logits.float().softmax(dim=1).max(dim=1)
    return classes.where(confidence >= threshold, IGNORE_INDEX)
