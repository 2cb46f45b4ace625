"""`cfcontra`: class-wise contrast against two prototype banks, on top of MinEnt.

Tang et al. 2021 (arXiv 2103.12371). The coarse stage, style transfer, happens before
the frames come here; this is the fine stage.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from cfcontra.label_space import IGNORE_INDEX
from cfcontra.models import ModelOutput, SegmentationModel

from ..losses.contrastive import prototype_contrast
from ..projection_head import ProjectionHead
from ..prototype_bank import PrototypeBank, class_sums
from ..pseudo_labels import labels_by_confidence, labels_by_margin
from ..recipe import Stage
from .base import Method, StepInput, forward_both, resize_labels
from .minent import entropy_terms

Pixels = tuple[Tensor, Tensor]
"""Projected pixel features `[P, D]` and their classes `[P]`."""


class CFContra(Method):
    """Source cross-entropy, target entropy, and four contrast terms.

    The source bank follows source features only, the target bank target features only.
    Both change after a taken optimiser step, never inside one.
    """

    uses_target = True

    def __init__(
        self, model: SegmentationModel, stage: Stage, class_weights: Tensor | None
    ) -> None:
        super().__init__(model, stage, class_weights)
        settings = stage.contrast
        self.head = ProjectionHead(model.feature_channels, settings.head, settings.dimension)
        self.source_bank = PrototypeBank(self.num_classes, self.head.dimension, settings.momentum)
        self.target_bank = PrototypeBank(self.num_classes, self.head.dimension, settings.momentum)
        self._step = max(1, settings.stride // model.output_stride)
        self._pending: tuple[Pixels, Pixels] | None = None
        self._labelled_share = 0.0

    def losses(self, model: SegmentationModel, batch: StepInput, step: int) -> dict[str, Tensor]:
        source, target, valid = forward_both(model, batch)
        pixels = self._source_pixels(source, batch.source_labels)
        target_pixels = self._target_pixels(target, valid)
        counted = target_pixels[1] != IGNORE_INDEX
        self._pending = _detached(pixels), _detached(target_pixels)
        self._labelled_share = float(counted.float().mean())
        return {
            **self.supervised(source, batch.source_labels),
            **entropy_terms(target, valid, self.stage.entropy),
            **self._contrast(pixels, target_pixels, step),
        }

    def _contrast(self, source: Pixels, target: Pixels, step: int) -> dict[str, Tensor]:
        settings = self.stage.contrast
        terms = [
            ("source_to_source", settings.source_to_source, source, self.source_bank),
        ]
        if step >= settings.warmup:
            terms += [
                ("target_to_target", settings.target_to_target, target, self.target_bank),
                ("target_to_source", settings.target_to_source, target, self.source_bank),
                ("source_to_target", settings.source_to_target, source, self.target_bank),
            ]
        return {
            f"contrast_{name}": weight
            * prototype_contrast(
                *pixels, bank.prototypes, bank.seen, settings.temperature, settings.balance
            )
            for name, weight, pixels, bank in terms
        }

    def _source_pixels(self, output: ModelOutput, labels: Tensor) -> Pixels:
        return (
            self.head(self._grid(output.features)),
            self._grid(resize_labels(labels, output.features)).flatten(),
        )

    def _target_pixels(self, output: ModelOutput, valid: Tensor) -> Pixels:
        settings = self.stage.contrast
        features = self.head(self._grid(output.features))
        if settings.pseudo_labels == "margin":
            bank = self.source_bank
            labels = labels_by_margin(features, bank.prototypes, bank.seen, settings.margin)
        else:
            logits = self._grid(output.logits)
            labels = labels_by_confidence(logits, settings.threshold).flatten()
        return features, labels.where(self._grid(valid).flatten(), IGNORE_INDEX)

    def _grid(self, maps: Tensor) -> Tensor:
        return maps[..., :: self._step, :: self._step]

    @torch.no_grad()
    def prepare(self, model: SegmentationModel, batches: Iterable[StepInput]) -> None:
        """Initialise the banks with class means over the batches.

        The source's bank comes first, by labels; the target's follows by pseudo-labels,
        which may need the source's.
        """
        seen = list(batches)
        outputs = [forward_both(model, batch) for batch in seen]
        self._update(
            self.source_bank,
            [
                self._source_pixels(source, batch.source_labels)
                for (source, _, _), batch in zip(outputs, seen, strict=True)
            ],
        )
        self._update(
            self.target_bank, [self._target_pixels(target, valid) for _, target, valid in outputs]
        )

    def commit(self) -> None:
        """Let both banks follow the batch of the step just taken."""
        if self._pending is not None:
            source, target = self._pending
            self._update(self.source_bank, [source])
            self._update(self.target_bank, [target])
            self._pending = None

    def _update(self, bank: PrototypeBank, batches: list[Pixels]) -> None:
        parts = [class_sums(*pixels, self.num_classes) for pixels in batches]
        sums, counts = (torch.stack(items).sum(0) for items in zip(*parts, strict=True))
        bank.update(sums, counts)

    def measures(self) -> dict[str, float]:
        """Share of target pixels with a pseudo-label, and how alike the two banks are."""
        both = self.source_bank.seen & self.target_bank.seen
        cosine = (self.source_bank.prototypes * self.target_bank.prototypes).sum(1)
        return {
            "pseudo_label_share": self._labelled_share,
            "bank_cosine": float(cosine[both].mean()) if bool(both.any()) else float("nan"),
        }


def _detached(pixels: Pixels) -> Pixels:
    return pixels[0].detach(), pixels[1]
