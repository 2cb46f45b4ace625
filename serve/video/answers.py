"""Frames and what the model says about them, brought together again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cfcontra.runtime import Prediction

from .batches import Batch
from .memory import Memory
from .sink import Segmented


class Answers:
    """Gives each frame its mask: the model's, or the last one where it was not asked.

    Args:
        every: the model is asked about every how manieth frame.
    """

    def __init__(self, every: int = 1) -> None:
        self._every = every
        self._last: tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32] | None]
        self.begun = False

    def __call__(self, batch: Batch, prediction: Prediction | None) -> Iterator[Segmented]:
        """The frames of a batch, in order."""
        position = 0
        for frame, asked in zip(batch.frames, batch.asked, strict=True):
            if asked:
                assert prediction is not None
                scores = prediction.frame_scores
                self._last = (
                    prediction.mask[position],
                    prediction.confidence[position],
                    None if scores is None else scores[position],
                )
                self.begun = True
                position += 1
            assert self.begun  # the first frame is always asked about
            yield Segmented(frame, *self._last, carried=not asked)

    def memory(self) -> Memory:
        """The last mask, where a frame may come that needs it."""
        if self._every == 1 or not self.begun:
            return {}
        mask, confidence, scores = self._last
        kept = {"carried.mask": mask, "carried.confidence": confidence}
        return kept if scores is None else {**kept, "carried.scores": scores}

    def remember(self, memory: Memory) -> None:
        """Go on from there."""
        if "carried.mask" in memory:
            mask, confidence = memory["carried.mask"], memory["carried.confidence"]
            self._last = mask, confidence, memory.get("carried.scores")
            self.begun = True
