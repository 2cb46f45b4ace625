"""Reading picture and label files, with errors that name the file."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from cfcontra.errors import InputError
from cfcontra.opencv import cv2

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
"""Endings of what `read_image` reads."""
_ID_MODES = frozenset({"L", "P"})


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a picture as RGB uint8 `[H, W, 3]`, rotated as its EXIF tag says.

    Raises:
        InputError: unreadable or not a picture.
    """
    pixels = cv2.imdecode(np.frombuffer(read_bytes(path), dtype=np.uint8), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise InputError(f"{path}: not a readable picture. Replace or remove the file.")
    return np.asarray(pixels, dtype=np.uint8)


def read_ids(path: Path) -> NDArray[np.uint8]:
    """Read a picture of ids `[H, W]`: one 8-bit channel, grey or with a palette.

    Raises:
        InputError: unreadable, or a picture of another kind.
    """
    picture = _label_picture(path)
    if picture.mode not in _ID_MODES:
        raise InputError(
            f"{path}: labels must be one 8-bit channel of class ids (grey or palette), found "
            f"{picture.mode} of {picture.width}×{picture.height}. Convert colour labels to ids "
            "first."
        )
    return np.array(picture, dtype=np.uint8)


def read_colors(path: Path) -> NDArray[np.uint8]:
    """Read a label picture in colours, RGB `[H, W, 3]`; a palette is looked up.

    Raises:
        InputError: unreadable, or a picture without colours.
    """
    picture = _label_picture(path)
    if picture.mode not in {"RGB", "RGBA", "P"}:
        raise InputError(f"{path}: a picture of class colours is expected, found {picture.mode}.")
    return np.array(picture.convert("RGB"), dtype=np.uint8)


def has_ids(path: Path) -> bool:
    """Whether a label picture holds ids (one channel) rather than colours."""
    return _header(path)[0] in _ID_MODES


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width from a picture's header."""
    return _header(path)[1]


def _header(path: Path) -> tuple[str, tuple[int, int]]:
    try:
        with Image.open(path) as picture:
            return picture.mode, (picture.height, picture.width)
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(f"{path}: not a readable picture. Replace or remove the file.") from error


def list_images(folder: Path, pattern: str = "*") -> list[Path]:
    """The picture files in `folder` that match a glob, sorted by name."""
    return sorted(
        path
        for path in folder.glob(pattern)
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )


def require_images(folder: Path, pattern: str = "*") -> list[Path]:
    """`list_images`, with an `InputError` where there are none."""
    images = list_images(folder, pattern)
    if not images:
        raise InputError(f"{folder}: holds no pictures{_as_shown(pattern)}.")
    return images


def _as_shown(pattern: str) -> str:
    return "" if pattern == "*" else f" of the form {pattern}"


def _label_picture(path: Path) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(read_bytes(path)))
        picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path}: not a readable label picture. Replace or remove the file."
        ) from error
    return picture


def read_bytes(path: Path) -> bytes:
    """Read a file whole; an `InputError` where it cannot be read or is empty."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    if not data:
        raise InputError(f"{path}: the file is empty. Replace or remove it.")
    return data
