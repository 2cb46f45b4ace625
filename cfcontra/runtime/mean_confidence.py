"""How sure a model is of a whole frame, from the confidences of its pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cfcontra.opencv import cv2


def mean_confidence(confidence: NDArray[np.uint8]) -> float:
    """The mean over a frame's pixels, 0–1.

    Exact, as OpenCV adds up integers, and several times as fast as numpy's mean.

    Args:
        confidence: of one frame, uint8 `[H, W]`, 255 is 1.
    """
    return float(cv2.mean(confidence)[0]) / 255.0
