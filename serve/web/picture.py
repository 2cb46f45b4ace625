"""Taking in an uploaded picture: whatever it is, it must not bring the page down."""

from __future__ import annotations

import warnings
from pathlib import Path

import gradio as gr
import numpy as np
from gradio.data_classes import ImageData
from numpy.typing import NDArray

from cfcontra.errors import InputError

MAX_PIXELS = 40_000_000
MAX_FILE = "40mb"
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "AVIF")


def picture_input(label: str) -> gr.Image:
    """An image component that hands the uploaded file's path over, unopened.

    Gradio's own opens the file before any code of ours could look at it. A subclass
    would say this more plainly, but Gradio writes a stub file beside the module that
    defines one. Give the component plain values only: for an update (`gr.update`,
    `gr.skip`) Gradio makes a new component, without this.
    """
    component = gr.Image(
        label=label, type="filepath", sources=["upload", "clipboard"], height=240, buttons=[]
    )
    component.preprocess = _path_only  # type: ignore[method-assign]
    return component


def _path_only(payload: ImageData | None) -> str | None:
    return payload.path if payload is not None else None


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Decode a picture, turned upright, as RGB uint8 `[H, W, 3]`.

    Raises:
        InputError: not a picture, damaged, or with more than `MAX_PIXELS`.
    """
    from PIL import Image, ImageOps

    too_many = f"The picture has more than {MAX_PIXELS // 1_000_000} megapixels. Make it smaller."
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as opened:
                if opened.width * opened.height > MAX_PIXELS:
                    raise InputError(too_many)
                upright = ImageOps.exif_transpose(opened)
                picture = np.asarray(upright.convert("RGB"), dtype=np.uint8)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(too_many) from error
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        raise InputError(
            "This is not a picture that can be read, or it is damaged. JPEG, PNG and WebP work."
        ) from error
    return picture
