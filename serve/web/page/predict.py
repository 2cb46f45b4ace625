"""From an upload to a prediction, with what can go wrong said in words."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cfcontra.errors import InputError
from cfcontra.runtime import Prediction

from ..batcher import Busy
from ..decoding import read_picture
from ..models import ServedModel
from ..settings import Limits


def upload_size(path: Path) -> int:
    """Bytes of an uploaded file.

    Raises:
        InputError: it is empty, or was deleted since.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise InputError("The upload was deleted, as its time was over. Choose it again.") from None
    if size == 0:
        raise InputError("The file is empty. Choose another.")
    return size


def read_upload(path: Path, limits: Limits) -> NDArray[np.uint8]:
    """An uploaded picture as RGB uint8 `[H, W, 3]`.

    Raises:
        InputError: deleted since, empty, too large, or not a picture that can be read.
    """
    size = upload_size(path)
    if size > limits.image_bytes:
        raise InputError(
            f"The picture's file has {size / 1e6:.1f} MB; up to {limits.image_bytes / 1e6:g} MB "
            "are taken. Make it smaller, or save it as JPEG."
        )
    return read_picture(path, limits.image_pixels)


def predict(model: ServedModel, picture: NDArray[np.uint8], limits: Limits) -> Prediction:
    """A visitor's picture through the model's queue.

    Raises:
        InputError: too many wait, or it took too long.
    """
    try:
        waiting: Future[Prediction] = model.submit(picture[None])
    except Busy as error:
        raise InputError("Too many pictures wait right now. Try again in a moment.") from error
    try:
        return waiting.result(limits.request_seconds)
    except TimeoutError as error:
        waiting.cancel()
        raise InputError(
            f"This took more than {limits.request_seconds:g} seconds and was given up. Try a "
            "smaller picture, or later."
        ) from error
