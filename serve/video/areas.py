"""How much of the picture each class takes while a video goes on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cfcontra.opencv import cv2

from .sink import Segmented

_POINTS = 512


class ClassAreas:
    """Watches a run and keeps each class's share of the frames, however long the video is.

    Past `2 · points` points, neighbours are averaged two by two, and each point stands for twice as
    many frames as before: the memory stays the same.

    Args:
        num_classes: classes of the model.
        points: least number of points that a long video is kept in.

    Attributes:
        seconds: time of the last frame since the video's start.
    """

    def __init__(self, num_classes: int, points: int = _POINTS) -> None:
        self._num_classes, self._points = num_classes, points
        self._means: list[NDArray[np.float64]] = []
        self._sum = np.zeros(num_classes)
        self._summed, self._frames_a_point = 0, 1
        self.seconds = 0.0

    def __call__(self, result: Segmented) -> None:
        """Count one frame."""
        # One column in OpenCV 4, one axis in 5.
        counts = cv2.calcHist([result.mask], [0], None, [256], [0, 256]).reshape(-1)
        self._sum += counts[: self._num_classes] / result.mask.size
        self._summed += 1
        self.seconds = result.frame.seconds
        if self._summed == self._frames_a_point:
            self._means.append(self._sum / self._summed)
            self._sum = np.zeros(self._num_classes)
            self._summed = 0
            if len(self._means) == 2 * self._points:
                pairs = zip(self._means[::2], self._means[1::2], strict=True)
                self._means = [(one + other) / 2 for one, other in pairs]
                self._frames_a_point *= 2

    def shares(self) -> NDArray[np.float64]:
        """Mean shares 0–1 over equal stretches of the video, `[points, classes]`."""
        rest = [self._sum / self._summed] if self._summed else []
        return np.stack([*self._means, *rest]) if self._means or rest else np.zeros((0, 0))
