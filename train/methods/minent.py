"""`minent`: source cross-entropy and entropy minimisation on the target (Vu et al. 2019)."""

from __future__ import annotations

from torch import Tensor

from cfcontra.models import ModelOutput, SegmentationModel

from ..losses.entropy import entropy_loss
from ..recipe import EntropySettings
from .base import Method, StepInput, forward_both, resize_mask


class MinEnt(Method):
    """Cross-entropy on the source, normalised entropy on the target."""

    uses_target = True

    def losses(self, model: SegmentationModel, batch: StepInput, step: int) -> dict[str, Tensor]:
        source, target, valid = forward_both(model, batch)
        return {
            **self.supervised(source, batch.source_labels),
            **entropy_terms(target, valid, self.stage.entropy),
        }


def entropy_terms(
    target: ModelOutput, valid: Tensor, settings: EntropySettings
) -> dict[str, Tensor]:
    """Weighted entropies of the main and, where there is one, the auxiliary classifier.

    Args:
        valid: bool `[N, h, w]` at the main logits' size.
    """
    terms = {"entropy": settings.weight * entropy_loss(target.logits, valid)}
    if target.aux_logits is not None:
        aux_valid = resize_mask(valid, target.aux_logits)
        terms["entropy_aux"] = settings.aux_weight * entropy_loss(target.aux_logits, aux_valid)
    return terms
