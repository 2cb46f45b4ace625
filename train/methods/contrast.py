"""CFContra's fine stage: class-wise contrast against two prototype banks.

Tang et al. 2021 (arXiv 2103.12371). The coarse stage, style transfer, happens before
the frames come here.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cfcontra.label_space import IGNORE_INDEX
from cfcontra.models import SegmentationModel

from ..losses.contrastive import prototype_contrast
from ..pixel_sampling import sample_per_class
from ..projection_head import ProjectionHead
from ..prototype_bank import PrototypeBank, class_sums
from ..pseudo_labels import labels_by_confidence, labels_by_margin
from ..settings import ContrastSettings
from .base import Step, Term, resize_labels

Pixels = tuple[Tensor, Tensor]
"""Projected pixel features `[P, D]` and their classes `[P]`."""


class Contrast(Term):
    """Four contrast terms: features of either domain against the bank of either.

    The source bank follows source features only, the target bank target features only.
    Both change after a taken optimiser step, never inside one.
    """

    sees_target = True
    prepares = True
    waits = False  # the source's own contrast begins at once

    def __init__(self, model: SegmentationModel, settings: ContrastSettings) -> None:
        super().__init__()
        self._settings, self._classes = settings, model.out_classes
        self.needs_teacher = settings.pseudo_labels == "teacher"
        self.head = ProjectionHead(model.feature_channels, settings.head, settings.dimension)
        self.source_bank, self.target_bank = (
            PrototypeBank(
                model.out_classes, self.head.dimension, settings.momentum, settings.full_count
            )
            for _ in ("source", "target")
        )
        self._stride = max(1, settings.stride // model.output_stride)
        self._pending: list[tuple[Pixels, Pixels]] = []  # one per batch of the step
        self._labelled_share = 0.0

    def losses(self, step: Step) -> dict[str, Tensor]:
        settings = self._settings
        of_source, of_target = self._project(step)
        source = of_source, self._source_labels(step)
        target = of_target, self._target_labels(step, of_target)
        self._pending.append((_detached(source), _detached(target)))
        self._labelled_share = float((target[1] != IGNORE_INDEX).float().mean())
        to_source = {"source": self.source_bank}
        both = {**to_source, "target": self.target_bank}
        domains = {"source": (source, both if step.warm else to_source)}
        if step.warm:
            domains["target"] = target, both
        losses: dict[str, Tensor] = {}
        for domain, (pixels, banks) in domains.items():
            terms = prototype_contrast(
                *self._sample(pixels, step.batch.generator),
                [(bank.prototypes, bank.seen) for bank in banks.values()],
                settings.temperature,
                settings.balance,
            )
            for name, term in zip(banks, terms, strict=True):
                title = f"{domain}_to_{name}"
                losses[f"contrast_{title}"] = getattr(settings, title) * term
        return losses

    def _sample(self, pixels: Pixels, generator: torch.Generator) -> Pixels:
        if not self._settings.pixels_per_class:
            return pixels
        features, labels = pixels
        rows = sample_per_class(labels, self._settings.pixels_per_class, generator)
        return features[rows], labels[rows]

    def _project(self, step: Step) -> tuple[Tensor, Tensor]:
        """Projected features of the grid's pixels of both domains, from one pass."""
        rows = self.head(_thinned(step.features, self._stride))
        frames, of_source = len(step.features), len(step.batch.source_images)
        first = len(rows) // frames * of_source
        return rows[:first], rows[first:]

    def _source_labels(self, step: Step) -> Tensor:
        return self._grid(resize_labels(step.batch.source_labels, step.features)).flatten()

    def _target_labels(self, step: Step, features: Tensor) -> Tensor:
        settings = self._settings
        assert step.target is not None and step.valid is not None
        if settings.pseudo_labels == "margin":
            bank = self.source_bank
            labels = labels_by_margin(features, bank.prototypes, bank.seen, settings.margin)
        else:
            teacher = settings.pseudo_labels == "teacher"
            logits = (step.pseudo_labels.output if teacher else step.target).logits
            labels = labels_by_confidence(self._grid(logits), settings.threshold).flatten()
        return labels.where(self._grid(step.valid).flatten(), IGNORE_INDEX)

    def pseudo_labels(self, step: Step) -> Tensor:
        rows, columns = self._grid(step.features).shape[-2:]
        return self._target_labels(step, self._project(step)[1]).view(-1, rows, columns)

    def _grid(self, maps: Tensor) -> Tensor:
        return maps[..., :: self._stride, :: self._stride]

    def prepare(self, steps: Sequence[Step]) -> None:
        """Initialise the banks with class means over the steps.

        The source's bank comes first, by labels; the target's follows by pseudo-labels,
        which may need the source's.
        """
        projected = [(step, *self._project(step)) for step in steps]
        of_source = [(rows, self._source_labels(step)) for step, rows, _ in projected]
        self._update(self.source_bank, of_source)
        of_target = [(rows, self._target_labels(step, rows)) for step, _, rows in projected]
        self._update(self.target_bank, of_target)

    def commit(self) -> None:
        """Let both banks follow the batches of the step just taken."""
        if self._pending:
            self._update(self.source_bank, [source for source, _ in self._pending])
            self._update(self.target_bank, [target for _, target in self._pending])
        self.discard()

    def discard(self) -> None:
        self._pending = []

    def _update(self, bank: PrototypeBank, batches: list[Pixels]) -> None:
        parts = [class_sums(*pixels, self._classes) for pixels in batches]
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


def _thinned(features: Tensor, stride: int) -> Tensor:
    """The features on the grid, dense.

    Pooling single pixels selects as slicing does, but keeps the layout that convolutions are
    fast in, forwards and backwards.
    """
    return features if stride == 1 else F.avg_pool2d(features, 1, stride)


def _detached(pixels: Pixels) -> Pixels:
    return pixels[0].detach(), pixels[1]
