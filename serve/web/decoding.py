"""Taking in a picture from a stranger: whatever it is, it must not bring the server down."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from cfcontra.errors import InputError

from .settings import Limits

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "AVIF")
_SCAN, _END, _MAX_SCANS = 0xDA, 0xD9, 100
# A marker with a segment behind it, or the end; not what stands in coded data, restarts included.
_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])")
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # what turns a picture of an EXIF orientation upright


MOST_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 1 << 30)
"""Where Pillow itself refuses a picture."""


class TooManyPixelsError(InputError):
    """A picture beyond the limit."""


def read_picture(
    source: Path | BinaryIO, max_pixels: int = Limits.image_pixels
) -> NDArray[np.uint8]:
    """Decode a picture, turned upright, as RGB uint8 `[H, W, 3]`.

    Of an animation it is the first frame; 16-bit values keep their upper 8 bits, and
    transparency is dropped.

    Args:
        source: file, or an open one.
        max_pixels: refused beyond, by the header, before anything is decoded.

    Raises:
        TooManyPixelsError: too large.
        InputError: not a picture, damaged, or of 32-bit values.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(source, formats=FORMATS) as opened:
                _check_scans(opened, source)
                if opened.width * opened.height > max_pixels:
                    raise _too_many(max_pixels)
                return _upright_rgb(opened)
    except Image.DecompressionBombError as error:
        raise _too_many(max_pixels) from error
    except InputError:
        raise
    except Exception as error:  # a damaged file brings up any, according to what reads it
        raise InputError(
            "This is not a picture that can be read, or it is damaged. JPEG, PNG and WebP work."
        ) from error


def picture_pixels(source: BinaryIO, max_pixels: int) -> int | None:
    """Pixels by the header; None if it is no picture's.

    Raises:
        TooManyPixelsError: more than the limit.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(source, formats=FORMATS) as opened:
                pixels = opened.width * opened.height
    except Image.DecompressionBombError:
        raise _too_many(max_pixels) from None
    except Exception:  # noqa: BLE001 - a damaged file brings up any, according to what reads it
        return None
    if pixels > max_pixels:
        raise _too_many(max_pixels)
    return pixels


def _check_scans(opened: Image.Image, source: Path | BinaryIO) -> None:
    """Refuse a JPEG of many scans: each is a pass over all pixels, and costs few bytes."""
    if opened.format not in ("JPEG", "MPO"):
        return
    data = source.read_bytes() if isinstance(source, Path) else _all_of(source)
    if _scans(data) > _MAX_SCANS:
        raise InputError(f"A JPEG of more than {_MAX_SCANS} scans is not taken. Save it again.")


def _scans(data: bytes) -> int:
    """Scans of a JPEG's first picture, up to one more than are taken.

    Others may follow it, and phones append whole videos.
    """
    scans = position = 0
    while scans <= _MAX_SCANS and (marker := _MARKER.search(data, position)):
        kind = marker[1][0]
        if kind == _END:
            break
        scans += kind == _SCAN
        length = int.from_bytes(data[marker.end() : marker.end() + 2])
        position = marker.end() + max(length, 2)
    return scans


def _all_of(source: BinaryIO) -> bytes:
    position = source.tell()
    source.seek(0)
    data = source.read()
    source.seek(position)
    return data


def _upright_rgb(opened: Image.Image) -> NDArray[np.uint8]:
    # Pillow keeps the 16 bits of a PGM in 32.
    deep = opened.mode in _DEEP or (opened.mode, opened.format) == ("I", "PPM")
    if opened.mode in ("I", "F") and not deep:
        raise InputError("Pictures of 32-bit values are not taken. Save it with 8 or 16 bits.")
    opened.load()  # some formats have their EXIF behind the pixels
    picture: Image.Image = opened
    if (turn := _UPRIGHT.get(_orientation(opened))) is not None:
        picture = opened.transpose(turn)
        opened.close()  # or its pixels would stay beside the turned ones
    if deep:
        grey = (np.asarray(picture).astype(np.uint16) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"), dtype=np.uint8)


def _orientation(opened: Image.Image) -> int:
    """The EXIF tag alone: other tags may hold what they like, and often do."""
    try:
        return int(opened.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - a tag that cannot be read turns nothing
        return 1


def _too_many(max_pixels: int) -> TooManyPixelsError:
    return TooManyPixelsError(
        f"The picture has more than {max_pixels / 1e6:g} megapixels. Make it smaller."
    )
