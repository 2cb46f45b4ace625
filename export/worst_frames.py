"""The frames on which an exported file departs most, as a picture."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cfcontra.label_space import LabelSpace
from cfcontra.opencv import cv2
from cfcontra.visualize import colorize

_WIDTH = 480
_WRONG = (230, 30, 30)


@dataclass(order=True)
class _Frame:
    """Sorted by how much of it differs."""

    differing: float
    number: int
    image: NDArray[np.uint8] = field(compare=False)
    expected: NDArray[np.uint8] = field(compare=False)
    found: NDArray[np.uint8] = field(compare=False)


class WorstFrames:
    """Keeps those that agree least of the frames it is shown.

    Args:
        count: how many to keep.
    """

    def __init__(self, count: int = 3) -> None:
        self._count, self._shown = count, 0
        self._kept: list[_Frame] = []

    def add(
        self,
        image: NDArray[np.uint8],
        expected: NDArray[np.uint8],
        found: NDArray[np.uint8],
    ) -> None:
        """Show a frame RGB uint8 `[H, W, 3]` and its masks uint8 `[H, W]`."""
        self._shown += 1
        frame = _Frame(float(np.mean(expected != found)), -self._shown, image, expected, found)
        heapq.heappush(self._kept, frame)
        if len(self._kept) > self._count:
            heapq.heappop(self._kept)

    def draw(self, label_space: LabelSpace) -> NDArray[np.uint8]:
        """A row each, the worst first: frame, checkpoint's mask, file's mask, what differs in red.

        Returns:
            RGB picture.
        """
        rows = [self._row(frame, label_space) for frame in sorted(self._kept, reverse=True)]
        return np.concatenate(rows)

    @staticmethod
    def _row(frame: _Frame, label_space: LabelSpace) -> NDArray[np.uint8]:
        height, width = frame.expected.shape
        size = (_WIDTH, max(1, round(height * _WIDTH / width)))
        # Ids that no class has, which a broken file may give, are drawn black.
        masks = [
            np.where((mask < label_space.num_classes)[..., None], colorize(mask, label_space), 0)
            for mask in (frame.expected, frame.found)
        ]
        dark = (frame.image // 3).astype(np.uint8)
        differing = np.where((frame.expected != frame.found)[..., None], _WRONG, dark)
        parts = [
            cv2.resize(part.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
            for part in (frame.image, *masks, differing)
        ]
        return np.concatenate(parts, axis=1).astype(np.uint8)
