"""A method is a sum of terms; each term turns one step's frames into named losses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cfcontra.label_space import IGNORE_INDEX
from cfcontra.models import ModelOutput, SegmentationModel

from ..recipe import Stage
from ..teacher import PseudoLabels, Teacher

Normalize = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class StepInput:
    """What a step has to learn from: restyled, on the device, values 0–1.

    Attributes:
        source_images: `[N, 3, H, W]`.
        source_labels: long `[N, H, W]`, 255 ignored.
        target_images: `[M, 3, H, W]`, or None without a target.
        target_valid: bool `[M, H, W]`, False in padding and ignore regions.
        generator: the step's own randomness, on the CPU.
    """

    source_images: Tensor
    source_labels: Tensor
    target_images: Tensor | None
    target_valid: Tensor | None
    generator: torch.Generator = field(default_factory=torch.Generator)


class Step:
    """One step as its terms see it: frames, what the networks say of them, and the number.

    Attributes:
        index: number of the step.
        warm: whether it comes after the warm-up, so that the target may be learned from.
        features: the student's features of both domains' frames, source first.
        source: the student's output on source frames.
        target: its output on target frames, or None where no term sees them.
        valid: bool `[M, h, w]` at the target logits' size, beside `target`.
    """

    features: Tensor
    source: ModelOutput
    target: ModelOutput | None
    valid: Tensor | None

    def __init__(
        self,
        index: int,
        warm: bool,
        batch: StepInput,
        model: SegmentationModel,
        teacher: Teacher | None,
        normalize: Normalize,
        sees_target: bool,
    ) -> None:
        self.index, self.warm, self.batch = index, warm, batch
        self._model, self._teacher, self._normalize = model, teacher, normalize
        self.target, self.valid = None, None
        if not sees_target:
            self.source = self.student(batch.source_images)
            self.features = self.source.features
            return
        assert batch.target_images is not None and batch.target_valid is not None
        # One pass over both domains, so that they share batch statistics.
        both = self.student(torch.cat([batch.source_images, batch.target_images]))
        self.features = both.features
        self.source, self.target = _split(both, len(batch.source_images))
        self.valid = resize_mask(batch.target_valid, self.target.logits)

    def student(self, images: Tensor) -> ModelOutput:
        """The trained network's output on frames with values 0–1."""
        return self._model.forward_features(self._normalize(images))

    @cached_property
    def pseudo_labels(self) -> PseudoLabels:
        """The teacher's labels of the target frames; computed once a step, if at all."""
        assert self._teacher is not None and self.batch.target_images is not None
        return self._teacher.label(self._normalize(self.batch.target_images))

    @property
    def pseudo_weights(self) -> Tensor:
        """How much each target pixel's pseudo-label counts, `[M, H, W]`.

        The share of the frame's pixels that the teacher is sure of (DACS, eq. 3; MIC, eq. 8),
        zero where nothing may be learned.
        """
        assert self.batch.target_valid is not None
        return self.pseudo_labels.quality.view(-1, 1, 1) * self.batch.target_valid


class Term(nn.Module):
    """Base of the terms. Parameters and buffers it holds belong to training only.

    Attributes:
        sees_target: whether the student must pass over target frames beside the source.
        needs_teacher: whether it asks for the teacher's pseudo-labels.
        prepares: whether it looks at some steps before the first.
        waits: whether it has no part in the steps of the warm-up.
    """

    sees_target: bool = False
    needs_teacher: bool = False
    prepares: bool = False
    waits: bool = True

    def losses(self, step: Step) -> dict[str, Tensor]:
        """Weighted losses by name; the sum of all terms' is minimised."""
        raise NotImplementedError

    def prepare(self, steps: Sequence[Step]) -> None:
        """Look at some steps before the first; called where `prepares` says so."""

    def pseudo_labels(self, step: Step) -> Tensor | None:
        """Labels of the target frames by the term's own rule, long `[M, h, w]`, if it has one."""
        return None

    def commit(self) -> None:
        """Called after an optimiser step that was really taken: state may change here."""

    def discard(self) -> None:
        """Called instead where the step was skipped."""

    def measures(self) -> dict[str, float]:
        """Figures to log that are no losses."""
        return {}

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """The term's own parameters for the optimiser, `lr` being the heads' rate."""
        own = [p for p in self.parameters() if p.requires_grad]
        return [{"params": own, "lr": lr, "name": type(self).__name__.lower()}] if own else []


class Method(nn.Module):
    """The terms of one stage, over one student and, where a term needs it, one teacher.

    Attributes:
        prepares: whether a term looks at some steps before the first.
        rests: whether some parameters have no gradient during the warm-up.
    """

    def __init__(
        self,
        model: SegmentationModel,
        stage: Stage,
        terms: Sequence[Term],
        normalize: Normalize = lambda images: images,
    ) -> None:
        super().__init__()
        self.terms = nn.ModuleList(terms)
        self._terms, self._normalize = list(terms), normalize
        self._warmup, self._sure_from = stage.target_warmup, stage.teacher.threshold
        self.rests = bool(self._warmup) and any(t.waits and [*t.parameters()] for t in terms)
        self.prepares = any(term.prepares for term in terms)
        self._sees_target = any(term.sees_target for term in terms)
        needs_teacher = any(term.needs_teacher for term in terms)
        self.teacher = Teacher(model, stage.teacher) if needs_teacher else None

    def _step(self, model: SegmentationModel, batch: StepInput, index: int) -> Step:
        warm = index >= self._warmup
        return Step(index, warm, batch, model, self.teacher, self._normalize, self._sees_target)

    def losses(self, model: SegmentationModel, batch: StepInput, step: int) -> dict[str, Tensor]:
        """All terms' weighted losses by name."""
        seen = self._step(model, batch, step)
        active = [term for term in self._terms if seen.warm or not term.waits]
        return {name: loss for term in active for name, loss in term.losses(seen).items()}

    @torch.no_grad()
    def pseudo_labels(
        self, model: SegmentationModel, images: Tensor, valid: Tensor
    ) -> dict[str, Tensor]:
        """The labels that target frames would get now, by who gives them.

        Args:
            images: `[M, 3, H, W]`, values 0–1.
            valid: bool `[M, H, W]`.

        Returns:
            Name → long `[M, h, w]`, of whatever size, 255 where there is none.
        """
        unlabelled = torch.full_like(valid[:1], IGNORE_INDEX, dtype=torch.long)
        step = self._step(model, StepInput(images[:1], unlabelled, images, valid), self._warmup)
        found = {
            type(term).__name__.lower(): labels
            for term in self._terms
            if (labels := term.pseudo_labels(step)) is not None
        }
        if self.teacher is not None:
            sure = step.pseudo_labels.confidence >= self._sure_from
            found["teacher"] = step.pseudo_labels.classes.where(sure & valid, IGNORE_INDEX)
        return found

    @torch.no_grad()
    def prepare(self, model: SegmentationModel, batches: Iterable[StepInput]) -> None:
        """Let the terms that ask for it look at some batches before the first step."""
        steps = [self._step(model, batch, 0) for batch in batches]
        for term in self._terms:
            if term.prepares:
                term.prepare(steps)

    def commit(self, model: SegmentationModel) -> None:
        """Move what follows the training, after an optimiser step that was really taken."""
        for term in self._terms:
            term.commit()
        if self.teacher is not None:
            self.teacher.follow(model)

    def discard(self) -> None:
        """Forget what the batches of a skipped step left to be done."""
        for term in self._terms:
            term.discard()

    def measures(self) -> dict[str, float]:
        """Figures to log that are no losses."""
        return {name: value for term in self._terms for name, value in term.measures().items()}

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """Parameters that belong to training only, for the optimiser."""
        return [group for term in self._terms for group in term.parameter_groups(lr)]


def _split(both: ModelOutput, at: int) -> tuple[ModelOutput, ModelOutput]:
    # Not by slices, each of which would fill a gradient of the whole with zeros.
    parts = [at, len(both.logits) - at]
    logits, features = torch.split(both.logits, parts), torch.split(both.features, parts)
    aux = (None, None) if both.aux_logits is None else torch.split(both.aux_logits, parts)
    one, two = (ModelOutput(*part) for part in zip(logits, features, aux, strict=True))
    return one, two


def resize_labels(labels: Tensor, like: Tensor) -> Tensor:
    """Long labels `[N, H, W]` at the size of `like` `[N, D, h, w]`, by nearest."""
    resized = F.interpolate(labels[:, None].float(), size=like.shape[-2:], mode="nearest-exact")
    return resized[:, 0].long()


def resize_mask(mask: Tensor, like: Tensor) -> Tensor:
    """Bool mask `[N, H, W]` at the size of `like` `[N, D, h, w]`, by nearest."""
    ignored = torch.where(mask, 0, IGNORE_INDEX)
    return resize_labels(ignored, like) == 0
