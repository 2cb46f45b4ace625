"""How much of a video's classes changes without anything having moved."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cfcontra.opencv import cv2

from .memory import Memory
from .motion import BELIEVED, Motion, looked_up


class FlickerMeter:
    """Measures flicker: the share of pixels whose class is another than a frame ago at the same
    place of the scene.

    The picture's motion is followed, and only where the place looks as it did before
    (`Motion.trust` of a half or more) does a change of class count. Measured at the centres of
    the motion's grid. After Lai et al. 2018 (warping error), with classes for colours.
    """

    def __init__(self) -> None:
        self._before: NDArray[np.uint8] | None = None
        self._changed = 0
        self._compared = 0

    def add(self, mask: NDArray[np.uint8], motion: Motion | None) -> None:
        """Take the next frame's classes.

        Args:
            mask: train ids `[H, W]`.
            motion: since the frame before; None starts anew.
        """
        before, self._before = self._before, mask
        if motion is None or before is None or before.shape != mask.shape:
            return
        then = looked_up(before, motion.then, cv2.INTER_NEAREST)
        now = looked_up(mask, motion.now, cv2.INTER_NEAREST)
        believed = motion.trust >= BELIEVED
        self._changed += int(np.count_nonzero((then != now) & believed))
        self._compared += int(np.count_nonzero(believed))

    def memory(self) -> Memory:
        """What the next share depends on."""
        counts = {"counts": np.array([self._changed, self._compared])}
        return counts if self._before is None else {**counts, "before": self._before}

    def remember(self, memory: Memory) -> None:
        """Go on as who gave this memory."""
        self._changed, self._compared = (int(count) for count in memory["counts"])
        self._before = memory.get("before")

    @property
    def share(self) -> float | None:
        """Share 0–1 of the places compared so far; None where there were none."""
        return self._changed / self._compared if self._compared else None
