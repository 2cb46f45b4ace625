"""Reading image and label files, with errors that name the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cfcontra.errors import InputError
from cfcontra.opencv import cv2

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a picture as RGB uint8 `[H, W, 3]`, rotated as its EXIF tag says.

    Raises:
        InputError: unreadable or not a picture.
    """
    pixels = cv2.imdecode(_bytes(path), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise InputError(f"{path}: not a readable picture. Replace or remove the file.")
    return np.asarray(pixels, dtype=np.uint8)


def read_label(path: Path) -> NDArray[np.uint8]:
    """Read a single-channel 8-bit label picture `[H, W]` of raw ids.

    Raises:
        InputError: unreadable, or not a single-channel 8-bit picture.
    """
    pixels = cv2.imdecode(_bytes(path), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise InputError(f"{path}: not a readable label picture. Replace or remove the file.")
    if pixels.ndim != 2 or pixels.dtype != np.uint8:
        raise InputError(
            f"{path}: labels must be one 8-bit channel of class ids, found shape {pixels.shape} "
            f"of {pixels.dtype}. Convert colour labels to ids first."
        )
    return np.asarray(pixels, dtype=np.uint8)


def list_images(folder: Path) -> list[Path]:
    """The picture files directly in `folder`, sorted by name."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )


def _bytes(path: Path) -> NDArray[np.uint8]:
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    if not data.size:
        raise InputError(f"{path}: the file is empty. Replace or remove it.")
    return data
