"""Masks that hold still: classes of a moving picture decided over time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cfcontra.opencv import cv2

from .flicker import FlickerMeter
from .memory import Memory, Remembers
from .motion import Motion, MotionEstimator, looked_up
from .picture import planes
from .sink import Segmented

_MEMORY = 0.3  # seconds after which a vote counts 1/e
_COLUMNS = 640  # of the grid that is voted on, at most
_VOTE = 0.25  # of the largest weight that a fully confident frame adds


@dataclass(frozen=True)
class Flicker:
    """Flicker of a video, as `FlickerMeter` measures it.

    Attributes:
        before: of the model's masks; None where no two frames could be compared.
        after: of the masks made steady.
    """

    before: float | None
    after: float | None

    def __str__(self) -> str:
        if self.before is None or self.after is None:
            return "flicker not measured: the picture never held still long enough to compare"
        return f"flicker {100 * self.before:.2f} % → {100 * self.after:.2f} %"


class MaskSmoother:
    """Decides each pixel's class by a majority of the last frames, weighted by confidence.

    Every pixel remembers one class and the weight behind it. A frame that agrees adds its
    confidence, one that does not takes it away, and when nothing is left the class changes:
    a weighted form of the majority vote of Boyer and Moore (1991), which needs two bytes a
    pixel. What is remembered moves with the picture (`MotionEstimator`), fades within
    a third of a second, and is dropped where the picture shows something new; so a change of
    class that comes with a change of the picture is shown at once.
    """

    def __init__(self) -> None:
        self._motion = MotionEstimator()
        self._meters = (FlickerMeter(), FlickerMeter())
        self._state: NDArray[np.uint8] | None = None
        self._time: Fraction | None = None

    @property
    def flicker(self) -> Flicker:
        """Flicker so far."""
        return Flicker(*(meter.share for meter in self._meters))

    def __call__(self, result: Segmented) -> Segmented:
        """The result with a steady mask.

        A mask that is carried over has no vote: it moves with the picture.
        """
        confidence = np.zeros_like(result.confidence) if result.carried else result.confidence
        luma = planes(result.frame.image)[0]
        steady = self.decide(luma, result.mask, confidence, Fraction(result.frame.seconds))
        return replace(result, mask=steady)

    def memory(self) -> Memory:
        """What the next mask and the flicker depend on."""
        memory: dict[str, NDArray[Any]] = {}
        for name, part in self._parts().items():
            memory |= {f"smooth.{name}.{key}": array for key, array in part.memory().items()}
        if self._state is not None:
            memory["smooth.votes"] = self._state
        if self._time is not None:
            memory["smooth.time"] = np.array(str(self._time))
        return memory

    def remember(self, memory: Memory) -> None:
        """Go on as who gave this memory."""
        for name, part in self._parts().items():
            start = f"smooth.{name}."
            of_part = {k.removeprefix(start): v for k, v in memory.items() if k.startswith(start)}
            if of_part:
                part.remember(of_part)
        if "smooth.votes" in memory:
            self._state = memory["smooth.votes"]
        if "smooth.time" in memory:
            self._time = Fraction(str(memory["smooth.time"]))

    def _parts(self) -> dict[str, Remembers]:
        before, after = self._meters
        return {"motion": self._motion, "before": before, "after": after}

    def decide(
        self,
        luma: NDArray[np.uint8],
        mask: NDArray[np.uint8],
        confidence: NDArray[np.uint8],
        time: Fraction,
    ) -> NDArray[np.uint8]:
        """The steady mask of the next frame, train ids `[H, W]`.

        Args:
            luma: the frame's brightness `[H, W]`.
            mask: train ids `[H, W]`.
            confidence: of these, uint8 `[H, W]`, 255 is 1.
            time: of the frame, in seconds.
        """
        motion = self._motion(luma)
        steady = self._vote(motion, mask, confidence, time)
        for meter, classes in zip(self._meters, (mask, steady), strict=True):
            meter.add(classes, motion)
        return steady

    def _vote(
        self,
        motion: Motion | None,
        mask: NDArray[np.uint8],
        confidence: NDArray[np.uint8],
        time: Fraction,
    ) -> NDArray[np.uint8]:
        said, sure = _coarse(mask), _coarse(confidence)
        votes = cv2.convertScaleAbs(sure, alpha=_VOTE)
        passed, self._time = time - (time if self._time is None else self._time), time
        if motion is None or self._state is None or self._state.shape[:2] != said.shape:
            self._state = np.asarray(cv2.merge((said, votes)), dtype=np.uint8)
            return mask
        classes, weights = self._remembered(motion, exp(-abs(float(passed)) / _MEMORY))
        same = cv2.compare(classes, said, cv2.CMP_EQ)
        kept = cv2.compare(weights, votes, cv2.CMP_GT)
        left = cv2.absdiff(weights, votes)
        cv2.copyTo(cv2.add(weights, votes), same, left)
        cv2.copyTo(classes, kept, said)
        self._state = np.asarray(cv2.merge((said, left)), dtype=np.uint8)
        return _replaced(mask, said, cv2.bitwise_and(kept, cv2.bitwise_not(same)))

    def _remembered(
        self, motion: Motion, fading: float
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        assert self._state is not None
        height, width = self._state.shape[:2]
        where = motion.dense((height, width))
        moved = looked_up(self._state, where, cv2.INTER_NEAREST, cv2.BORDER_CONSTANT)
        classes, weights = cv2.split(moved)
        trust = cv2.resize(motion.trust, (width, height), interpolation=cv2.INTER_LINEAR)
        weights = cv2.multiply(weights, trust, scale=fading / 255.0)
        return np.asarray(classes, dtype=np.uint8), np.asarray(weights, dtype=np.uint8)


def _coarse(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every n-th pixel of large pictures; a network's mask has no more detail than that."""
    height, width = picture.shape
    step = -(-width // _COLUMNS)
    size = (-(-width // step), -(-height // step))
    return np.array(_resized(picture, size), dtype=np.uint8)


def _replaced(mask: NDArray[np.uint8], classes: NDArray[np.uint8], where: Any) -> NDArray[np.uint8]:
    """A copy of `mask` with the coarse `classes` in those places `where` is not 0."""
    if not cv2.countNonZero(where):
        return mask
    replaced = mask.copy()
    size = (mask.shape[1], mask.shape[0])
    cv2.copyTo(_resized(classes, size), _resized(where, size), replaced)
    return replaced


def _resized(picture: NDArray[np.uint8], size: tuple[int, int]) -> Any:
    return cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST_EXACT)
