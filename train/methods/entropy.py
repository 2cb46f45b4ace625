"""Entropy minimisation on the target (MinEnt, Vu et al. 2019)."""

from __future__ import annotations

from torch import Tensor

from ..losses.entropy import entropy_loss
from ..settings import EntropySettings
from .base import Step, Term, resize_mask


class Entropy(Term):
    """Normalised entropy of the main and, where there is one, the auxiliary classifier."""

    sees_target = True

    def __init__(self, settings: EntropySettings) -> None:
        super().__init__()
        self._settings = settings

    def losses(self, step: Step) -> dict[str, Tensor]:
        settings, target, valid = self._settings, step.target, step.valid
        assert target is not None and valid is not None
        losses = {"entropy": settings.weight * entropy_loss(target.logits, valid)}
        if target.aux_logits is not None:
            aux_valid = resize_mask(valid, target.aux_logits)
            losses["entropy_aux"] = settings.aux_weight * entropy_loss(target.aux_logits, aux_valid)
        return losses
