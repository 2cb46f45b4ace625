"""Scoring a model on labelled data, whatever runtime runs it."""

from __future__ import annotations

from collections.abc import Callable

from cfcontra.datasets import SegmentationDataset
from cfcontra.errors import InputError
from cfcontra.metrics import Scores, SegmentationScore
from cfcontra.runtime import Backend

Progress = Callable[[int, int], None]


def evaluate_backend(
    backend: Backend, dataset: SegmentationDataset, progress: Progress | None = None
) -> Scores:
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
    score = SegmentationScore(backend.metadata.label_space)
    for index in range(len(dataset)):
        sample = dataset[index]
        assert sample.label is not None
        score.update(backend.predict(sample.image[None]).mask[0], sample.label)
        if progress is not None:
            progress(index + 1, len(dataset))
    if not score.confusion().any():
        raise InputError("Every pixel of the data is ignored; there is nothing to score.")
    return score.compute()
