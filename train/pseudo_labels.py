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
    similarity = (features.float() @ prototypes.float().t()).masked_fill(~seen, -2.0)
    (best, second), classes = (part.unbind(1) for part in similarity.topk(2, dim=1))
    return classes[0].where(best - second >= margin, IGNORE_INDEX)


@torch.no_grad()
def labels_by_confidence(logits: Tensor, threshold: float, class_share: float = 0.0) -> Tensor:
    """The classifier's class where its probability reaches `threshold`.

    Args:
        logits: `[N, C, h, w]`.
        class_share: share of each predicted class's pixels that are labelled in any case,
            the most probable first, so that a class whose predictions are never sure takes
            part too (class-balanced self-training, Zou et al. 2018).

    Returns:
        Long `[N, h, w]`, 255 where not confident.
    """
    confidence, classes = logits.float().softmax(dim=1).max(dim=1)
    sure = confidence >= threshold
    if class_share:
        sure |= _first_of_each_class(classes, confidence, class_share)
    return classes.where(sure, IGNORE_INDEX)


def _first_of_each_class(classes: Tensor, confidence: Tensor, share: float) -> Tensor:
    by_confidence = confidence.flatten().argsort(descending=True, stable=True)
    order = by_confidence[classes.flatten()[by_confidence].argsort(stable=True)]
    ordered = classes.flatten()[order]
    counts = torch.bincount(ordered)
    starts = counts.cumsum(0) - counts
    place = torch.arange(len(order), device=order.device) - starts[ordered]
    first = torch.zeros_like(ordered, dtype=torch.bool)
    first[order] = place < share * counts[ordered]
    return first.view_as(classes)
