"""Scoring a model on labelled data, whatever runtime runs it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cfcontra.calibration import Calibration, CalibrationScore
from cfcontra.datasets import SegmentationDataset
from cfcontra.errors import InputError
from cfcontra.metrics import Scores, SegmentationScore
from cfcontra.runtime import Backend

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Evaluation:
    """Everything that is said of a model on labelled data.

    Attributes:
        scores: over all frames.
        subsets: name → mean IoU of a subset of the label space's classes.
        conditions: weather or light → scores of its frames, where the data says which.
        calibration: of the confidence.
        confusion: pixel counts `[C, C]`, row true class, column predicted class.
    """

    scores: Scores
    subsets: dict[str, float]
    conditions: dict[str, Scores]
    calibration: Calibration
    confusion: NDArray[np.int64]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; NaN becomes None."""
        return {
            **self.scores.to_dict(),
            "subsets": {
                name: None if np.isnan(value) else round(value, 6)
                for name, value in self.subsets.items()
            },
            "conditions": {name: scores.to_dict() for name, scores in self.conditions.items()},
            "calibration": self.calibration.to_dict(),
            "confusion": self.confusion.tolist(),
        }


def evaluate_model(
    backend: Backend, dataset: SegmentationDataset, progress: Progress | None = None
) -> Evaluation:
    """Predict every frame at its own size and score it against its label.

    Args:
        backend: a model in any runtime.
        dataset: labelled, in the model's label space.
        progress: called with frames done and frames in all.

    Raises:
        InputError: the data set has no labels or no labelled pixel.
    """
    if not dataset.labelled:
        raise InputError("The data has no labels to score against.")
    space = backend.metadata.label_space
    overall, calibration = SegmentationScore(space), CalibrationScore()
    conditions: dict[str, SegmentationScore] = defaultdict(lambda: SegmentationScore(space))
    for index in range(len(dataset)):
        sample = dataset[index]
        assert sample.label is not None
        found = backend.predict(sample.image[None])
        mask = found.mask[0]
        overall.update(mask, sample.label)
        calibration.update(mask, found.confidence[0], sample.label)
        if sample.condition is not None:
            conditions[sample.condition].update(mask, sample.label)
        if progress is not None:
            progress(index + 1, len(dataset))
    if not overall.confusion().any():
        raise InputError("Every pixel of the data is ignored; there is nothing to score.")
    scores = overall.compute()
    return Evaluation(
        scores=scores,
        subsets={name: scores.mean_over(classes) for name, classes in space.subsets.items()},
        conditions={name: part.compute() for name, part in sorted(conditions.items())},
        calibration=calibration.compute(),
        confusion=overall.confusion(),
    )


def evaluate_backend(
    backend: Backend, dataset: SegmentationDataset, progress: Progress | None = None
) -> Scores:
    """The scores over all frames alone; see `evaluate_model`."""
    return evaluate_model(backend, dataset, progress).scores
