"""Self-training on mixed frames (ClassMix, Olsson et al. 2021, as in DACS, Tranheden et al.)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..class_mix import choose_classes, mix
from ..losses.segmentation import pixel_cross_entropy
from ..settings import MixingSettings
from ..strong_light import relight
from .base import Step, Term


class Mixing(Term):
    """Half of a source frame's classes, pasted with their labels on a target frame.

    Elsewhere the teacher's pseudo-labels count, weighted by the share of pixels that it is
    sure of (eq. 3 of DACS).
    """

    needs_teacher = True

    def __init__(self, settings: MixingSettings) -> None:
        super().__init__()
        self._settings = settings
        self._weight = settings.weight or 1.0  # unset where the method itself brings the term
        self._quality = 0.0

    def losses(self, step: Step) -> dict[str, Tensor]:
        batch, pseudo = step.batch, step.pseudo_labels
        assert batch.target_images is not None
        pasted = torch.stack(
            [choose_classes(labels, batch.generator) for labels in batch.source_labels]
        )
        partners = torch.arange(len(pasted)) % len(batch.target_images)
        weights = step.pseudo_weights[partners]
        images, labels, weights = mix(
            pasted,
            (batch.source_images, batch.source_labels, torch.ones_like(pasted).float()),
            (
                batch.target_images[partners],
                pseudo.classes[partners],
                weights,
            ),
        )
        images = relight(images, self._settings.jitter, self._settings.blur, batch.generator)
        losses = pixel_cross_entropy(step.student(images).logits, labels)
        self._quality = float(pseudo.quality.mean())
        return {"mixing": self._weight * (losses * weights).mean()}

    def measures(self) -> dict[str, float]:
        """Share of target pixels that the teacher is sure of."""
        return {"teacher_sure": self._quality}
