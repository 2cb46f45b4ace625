"""Masks as pictures: colours, overlays, legends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cfcontra.label_space import LabelSpace
from cfcontra.opencv import cv2


def colorize(mask: NDArray[np.uint8], label_space: LabelSpace) -> NDArray[np.uint8]:
    """Train ids `[H, W]` as RGB `[H, W, 3]`; ignored pixels are black."""
    palette = label_space.palette()[:, None]
    return np.asarray(cv2.applyColorMap(np.ascontiguousarray(mask), palette), dtype=np.uint8)


def overlay(
    image: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    label_space: LabelSpace,
    opacity: float = 0.5,
) -> NDArray[np.uint8]:
    """Blend the coloured mask over an RGB image `[H, W, 3]`.

    Args:
        opacity: share of the mask's colour, 0 (image only) to 1 (mask only).
    """
    blended = cv2.addWeighted(image, 1.0 - opacity, colorize(mask, label_space), opacity, 0.0)
    return np.asarray(blended, dtype=np.uint8)


def encode_png(image: NDArray[np.uint8]) -> bytes:
    """An RGB `[H, W, 3]` or grey `[H, W]` picture as PNG bytes."""
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    done, data = cv2.imencode(".png", stored)
    if not done:
        raise ValueError(f"a picture of shape {image.shape} cannot be written as PNG")
    return bytes(data.tobytes())


def encode_jpeg(image: NDArray[np.uint8], quality: int = 85) -> bytes:
    """An RGB picture `[H, W, 3]` as JPEG bytes."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"a picture of shape {image.shape} cannot be written as JPEG")
    return bytes(data.tobytes())
