"""Proof that an exported file says what its checkpoint says.

The file as it will lie on disk, in the runtime that users have, is held against
the checkpoint in the reference backend: not against the module that was exported.
"""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cfcontra.datasets.base import Sample
from cfcontra.errors import CheckFailedError, InputError
from cfcontra.label_space import LabelSpace
from cfcontra.metrics import SegmentationScore
from cfcontra.runtime.base import Backend

from .frames import at_sizes
from .tally import Tally
from .worst_frames import WorstFrames

_OF_SUMMARY = (
    *("passed", "agreement", "lowest_agreement", "confidence_mean", "confidence_max"),
    *("frame_scores_max", "miou"),
)  # what `Certificate.summary` says of the rest
_EXPLANATION = "explanation"  # of the record; too long to travel inside the file


@dataclass(frozen=True)
class Thresholds:
    """How far a file may depart from its checkpoint.

    Attributes:
        agreement: lowest share of equal mask pixels, at every size.
        class_agreement: lowest share within any class of `class_pixels` pixels or more.
        class_pixels: rarer classes are reported but not judged.
        confidence_mean: highest mean absolute confidence difference, of 255.
        confidence_max: highest absolute confidence difference of one pixel, of 255.
        miou: highest difference of the mIoU, 0–1.
        frame_scores: highest absolute difference of a frame's score.
    """

    agreement: float = 0.9999
    class_agreement: float = 0.99
    class_pixels: int = 1000
    confidence_mean: float = 0.05
    confidence_max: int = 5
    miou: float = 0.001
    frame_scores: float = 0.001


@dataclass(frozen=True)
class SizeResult:
    """What was found at one size of frame."""

    size: str
    batch: int
    frames: int
    pixels: int
    agreement: float
    confidence_mean: float
    confidence_max: int
    frame_scores_max: float | None = None
    probabilities_mean: float | None = None
    probabilities_max: float | None = None


@dataclass(frozen=True)
class Certificate:
    """Agreement of an exported file with its checkpoint.

    Attributes:
        sizes: one entry per size of frame.
        agreement: share of equal mask pixels over all sizes.
        class_agreement: the same among the pixels that the checkpoint gives a class;
            None for a class it never predicted, about which nothing is proven.
        judged: names of classes with enough pixels to be held to a threshold.
        miou: `{"checkpoint", "exported", "difference"}` 0–1 at the frames' own size; None
            without labels.
        worst: the frame that agrees least.
        thresholds: what was asked for.
        record: frames, precision, hashes and versions.
    """

    sizes: tuple[SizeResult, ...]
    agreement: float
    class_agreement: dict[str, float | None]
    judged: tuple[str, ...]
    miou: dict[str, float] | None
    worst: dict[str, Any]
    thresholds: Thresholds
    record: dict[str, Any]

    def failures(self) -> list[str]:
        """Every threshold that does not hold, in words; empty when all do."""
        limits, found = self.thresholds, []
        for row in self.sizes:
            if row.agreement < limits.agreement:
                found.append(
                    f"masks agree on {row.agreement:.4%} of the pixels at {row.size} "
                    f"({limits.agreement:.2%} needed)"
                )
            if row.confidence_mean > limits.confidence_mean:
                found.append(
                    f"confidence differs by {row.confidence_mean:.2f} of 255 on average at "
                    f"{row.size} ({limits.confidence_mean} allowed)"
                )
            if row.confidence_max > limits.confidence_max:
                found.append(
                    f"confidence differs by up to {row.confidence_max} of 255 at {row.size} "
                    f"({limits.confidence_max} allowed)"
                )
            if row.frame_scores_max is not None and not (
                row.frame_scores_max <= limits.frame_scores
            ):
                found.append(
                    f"frame scores differ by up to {row.frame_scores_max:.4f} at {row.size} "
                    f"({limits.frame_scores} allowed)"
                )
            if row.probabilities_max is not None and row.probabilities_mean is not None:
                most, mean = limits.confidence_max / 255, limits.confidence_mean / 255
                if not (row.probabilities_max <= most and row.probabilities_mean <= mean):
                    found.append(
                        f"probabilities differ by {row.probabilities_mean:.5f} on average "
                        f"({mean:.5f} allowed) and up to {row.probabilities_max:.4f} "
                        f"({most:.4f} allowed) at {row.size}"
                    )
        for name in self.judged:
            share = self.class_agreement[name]
            if share is not None and share < limits.class_agreement:
                found.append(
                    f"class '{name}' agrees on {share:.2%} ({limits.class_agreement:.0%} needed)"
                )
        if self.miou is not None and abs(self.miou["difference"]) > limits.miou:
            found.append(f"mIoU changes by {self.miou['difference']:+.4f} ({limits.miou} allowed)")
        return found

    def summary(self) -> dict[str, Any]:
        """What travels inside the file."""
        scores = [r.frame_scores_max for r in self.sizes if r.frame_scores_max is not None]
        return {
            "passed": not self.failures(),
            "agreement": _rounded_down(self.agreement),
            "lowest_agreement": _rounded_down(min(row.agreement for row in self.sizes)),
            "confidence_mean": round(max(row.confidence_mean for row in self.sizes), 4),
            "confidence_max": max(row.confidence_max for row in self.sizes),
            **({"frame_scores_max": round(max(scores), 6)} if scores else {}),
            "miou": self.miou,
            **{name: value for name, value in self.record.items() if name != _EXPLANATION},
        }

    def to_dict(self) -> dict[str, Any]:
        """The whole certificate, JSON-serialisable and without local paths."""
        return {
            **self.summary(),
            "thresholds": asdict(self.thresholds),
            "sizes": [asdict(row) for row in self.sizes],
            "class_agreement": self.class_agreement,
            "judged": list(self.judged),
            "worst": self.worst,
            **{name: value for name, value in self.record.items() if name == _EXPLANATION},
        }

    @classmethod
    def from_dict(cls, data: Any) -> Certificate:
        """Read what `to_dict` wrote.

        Raises:
            InputError: malformed.
        """
        try:
            rest = dict(data)
            for name in _OF_SUMMARY:
                rest.pop(name, None)
            return cls(
                sizes=tuple(SizeResult(**row) for row in rest.pop("sizes")),
                agreement=float(data["agreement"]),
                class_agreement=dict(rest.pop("class_agreement")),
                judged=tuple(rest.pop("judged")),
                miou=data["miou"],
                worst=dict(rest.pop("worst")),
                thresholds=Thresholds(**rest.pop("thresholds")),
                record=rest,
            )
        except (LookupError, TypeError, ValueError) as error:
            raise InputError(f"Malformed certificate ({error!r}).") from error


def certify(
    reference: Backend,
    exported: Backend,
    samples: Sequence[Sample],
    record: dict[str, Any],
    progress: Callable[[str], None],
    thresholds: Thresholds | None = None,
    worst: WorstFrames | None = None,
) -> Certificate:
    """Run both on the same frames at several sizes and count where they depart.

    Args:
        reference: the checkpoint.
        exported: the exported file.
        samples: frames, with or without labels.
        record: what else the certificate states.
        progress: told about each size before it runs.
        thresholds: limits, None for those of float32.
        worst: is shown every frame.

    Raises:
        CheckFailedError: the file predicts a class that does not exist.
    """
    label_space = reference.metadata.label_space
    tallies = []
    scores = SegmentationScore(label_space), SegmentationScore(label_space)
    work_size, interface = reference.metadata.preprocessing.work_size, exported.metadata.interface
    for size, batch, frames in at_sizes(samples, work_size, interface):
        progress(f"certifying {len(frames)} frames at {size}")
        tally = Tally(size, batch, label_space.num_classes)
        _compare(reference, exported, frames, tally, scores, worst)
        tallies.append(tally)
    return _conclude(tallies, scores, label_space, record, thresholds or Thresholds())


def _compare(
    reference: Backend,
    exported: Backend,
    samples: list[Sample],
    tally: Tally,
    scores: tuple[SegmentationScore, SegmentationScore],
    worst: WorstFrames | None,
) -> None:
    given = "probabilities" in exported.metadata.interface.outputs
    for start in range(0, len(samples), tally.batch):
        group = samples[start : start + tally.batch]
        frames = np.stack([sample.image for sample in group])
        found = exported.predict(frames)
        probabilities = exported.probabilities(frames) if given else None
        for index, sample in enumerate(group):
            expected = reference.predict(sample.image[None])
            mask, confidence = found.mask[index], found.confidence[index]
            if mask.max() >= reference.metadata.label_space.num_classes:
                raise CheckFailedError(
                    f"The exported graph predicts train id {mask.max()}, which no class has, "
                    f"on {sample.origin} at {tally.size}."
                )
            tally.add(expected.mask[0], mask, expected.confidence[0], confidence, sample.origin)
            if found.frame_scores is not None and expected.frame_scores is not None:
                tally.add_scores(expected.frame_scores[0], found.frame_scores[index])
            if probabilities is not None:
                wanted = reference.probabilities(sample.image[None])[0]
                tally.add_probabilities(wanted, probabilities[index])
            if worst is not None:
                confidences = expected.confidence[0], confidence
                worst.add(sample.image, (expected.mask[0], mask), confidences)
            if sample.label is not None:
                scores[0].update(expected.mask[0], sample.label)
                scores[1].update(mask, sample.label)


def _conclude(
    tallies: list[Tally],
    scores: tuple[SegmentationScore, SegmentationScore],
    label_space: LabelSpace,
    record: dict[str, Any],
    thresholds: Thresholds,
) -> Certificate:
    equal = np.sum([tally.class_equal for tally in tallies], axis=0)
    total = np.sum([tally.class_total for tally in tallies], axis=0)
    shares = {
        name: float(equal[index] / total[index]) if total[index] else None
        for index, name in enumerate(label_space.classes)
    }
    checkpoint, exported = (score.compute().miou for score in scores)
    miou = {
        "checkpoint": round(checkpoint, 6),
        "exported": round(exported, 6),
        "difference": round(exported - checkpoint, 6),
    }
    return Certificate(
        sizes=tuple(SizeResult(**tally.result()) for tally in tallies),
        agreement=sum(tally.equal for tally in tallies) / sum(tally.pixels for tally in tallies),
        class_agreement=shares,
        judged=tuple(
            name
            for index, name in enumerate(label_space.classes)
            if total[index] >= thresholds.class_pixels
        ),
        miou=None if math.isnan(checkpoint) else miou,
        worst=asdict(min(tally.worst for tally in tallies)),
        thresholds=thresholds,
        record={**record, "versions": _versions()},
    )


def _versions() -> dict[str, str]:
    import onnxruntime

    found = {name: importlib.metadata.version(name) for name in ("cfcontra", "torch", "onnx")}
    found["torch"] = found["torch"].split("+")[0]
    return {**found, "onnxruntime": str(onnxruntime.__version__)}


def _rounded_down(share: float) -> float:
    """Six digits, of which 1.0 means that not one pixel differs; what has six stays as it is."""
    return math.floor(share * 1e6 + 1e-9) / 1e6
