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
_WRONG, _VAGUE = (230, 30, 30), (230, 150, 30)
_CONFIDENCE = 5


@dataclass(order=True)
class _Frame:
    """Sorted by how much of it differs."""

    wrong_share: float
    vague_share: float
    number: int
    image: NDArray[np.uint8] = field(compare=False)
    masks: tuple[NDArray[np.uint8], NDArray[np.uint8]] = field(compare=False)
    vague: NDArray[np.bool_] = field(compare=False)


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
        masks: tuple[NDArray[np.uint8], NDArray[np.uint8]],
        confidences: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    ) -> None:
        """Show a frame RGB uint8 `[H, W, 3]`, and the checkpoint's and the file's answers.

        Args:
            masks, confidences: uint8 `[H, W]` each.
        """
        self._shown += 1
        vague = np.abs(confidences[0].astype(np.int16) - confidences[1]) > _CONFIDENCE
        wrong = float(np.mean(masks[0] != masks[1]))
        frame = _Frame(wrong, float(vague.mean()), -self._shown, image, masks, vague)
        heapq.heappush(self._kept, frame)
        if len(self._kept) > self._count:
            heapq.heappop(self._kept)

    def draw(self, label_space: LabelSpace) -> NDArray[np.uint8]:
        """A row each, the worst first: frame, checkpoint's mask, file's mask, what differs.

        Red is another class, orange another confidence (by more than 5 of 255).

        Returns:
            RGB picture.
        """
        rows = [self._row(frame, label_space) for frame in sorted(self._kept, reverse=True)]
        return np.concatenate(rows)

    @staticmethod
    def _row(frame: _Frame, label_space: LabelSpace) -> NDArray[np.uint8]:
        height, width = frame.vague.shape
        size = (_WIDTH, max(1, round(height * _WIDTH / width)))
        # Ids that no class has, which a broken file may give, are drawn black.
        masks = [
            np.where((mask < label_space.num_classes)[..., None], colorize(mask, label_space), 0)
            for mask in frame.masks
        ]
        dark = (frame.image // 3).astype(np.uint8)
        differing = np.where(frame.vague[..., None], _VAGUE, dark)
        differing = np.where((frame.masks[0] != frame.masks[1])[..., None], _WRONG, differing)
        parts = [
            cv2.resize(part.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
            for part in (frame.image, *masks, differing)
        ]
        return np.concatenate(parts, axis=1).astype(np.uint8)
