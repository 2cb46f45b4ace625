"""Cross-entropy on labelled source frames, a part of every method."""

from __future__ import annotations

from torch import Tensor

from ..losses.segmentation import segmentation_loss
from .base import Step, Term


class Supervised(Term):
    """Cross-entropy of the main and, where there is one, the auxiliary classifier."""

    waits = False
    class_weights: Tensor | None

    def __init__(self, aux_weight: float, class_weights: Tensor | None) -> None:
        super().__init__()
        self._aux_weight = aux_weight
        self.register_buffer("class_weights", class_weights, persistent=False)

    def losses(self, step: Step) -> dict[str, Tensor]:
        labels, weights = step.batch.source_labels, self.class_weights
        losses = {"segmentation": segmentation_loss(step.source.logits, labels, weights)}
        if step.source.aux_logits is not None:
            aux = segmentation_loss(step.source.aux_logits, labels, weights)
            losses["segmentation_aux"] = self._aux_weight * aux
        return losses
