"""In which form a segmentation is wanted, and making it."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from starlette.responses import Response

from cfcontra.runtime import Prediction
from cfcontra.visualize import encode_jpeg, encode_png, overlay

from ...indexed import encode_mask
from ..models import ServedModel
from ..problems import Problem
from ..result import segmentation_result

PNG, JPEG, JSON = "image/png", "image/jpeg", "application/json"
_JPEG_SIDE = 65_500  # what libjpeg writes at most


class Output(StrEnum):
    """What to answer with."""

    JSON = "json"
    MASK = "mask"
    OVERLAY = "overlay"
    CONFIDENCE = "confidence"


_TYPES = {
    Output.JSON: (JSON,),
    Output.MASK: (PNG,),
    Output.OVERLAY: (JPEG, PNG),
    Output.CONFIDENCE: (PNG,),
}
_BY_TYPE = {JSON: Output.JSON, PNG: Output.MASK, JPEG: Output.OVERLAY}


def choose(output: Output | None, accept: str | None) -> tuple[Output, str]:
    """What to answer with and its media type, by `?output=` and the `Accept` header.

    Raises:
        Problem: 406, nothing that is offered is accepted.
    """
    offered = _TYPES[output] if output is not None else tuple(_BY_TYPE)
    weights = [_weight(media_type, accept or "*/*") for media_type in offered]
    best = max(weights)
    if best <= 0:
        raise Problem(406, f"Accept: {', '.join(offered)} can be given here.")
    media_type = offered[weights.index(best)]
    return output or _BY_TYPE[media_type], media_type


def answer(
    output: Output, media_type: str, model: ServedModel, opacity: float
) -> Callable[[NDArray[np.uint8], Prediction], Response]:
    """What makes the response of a picture and its prediction.

    It raises a Problem where a picture does not fit into the media type.
    """

    def make(image: NDArray[np.uint8], prediction: Prediction) -> Response:
        mask, space = prediction.mask[0], model.metadata.label_space
        if output is Output.JSON:
            content = segmentation_result(prediction, model).model_dump_json().encode()
        elif output is Output.MASK:
            content = encode_mask(mask, space)
        elif output is Output.CONFIDENCE:
            content = encode_png(prediction.confidence[0])
        else:
            if media_type == JPEG and max(mask.shape) > _JPEG_SIDE:
                raise Problem(
                    422,
                    f"A side has more than {_JPEG_SIDE:,} pixels, which is too many for JPEG. "
                    f"Ask for PNG: Accept: {PNG}.",
                )
            blended = overlay(image, mask, space, opacity)
            content = encode_jpeg(blended) if media_type == JPEG else encode_png(blended)
        return Response(content, media_type=media_type)

    return make


def _weight(media_type: str, accept: str) -> float:
    """How much a type is wanted, 0 to 1: the most exact range that fits it decides."""
    kind = media_type.partition("/")[0]
    found: dict[int, float] = {}
    for part in accept.split(","):
        wanted, *parameters = (piece.strip() for piece in part.split(";"))
        ranges = ("*/*", f"{kind}/*", media_type)
        if wanted.lower() not in ranges:
            continue
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        found[ranges.index(wanted.lower())] = quality
    return found[max(found)] if found else 0.0
