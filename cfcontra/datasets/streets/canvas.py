"""Painting: faces become a picture and its label map, from the same outlines.

One canvas carries red, green, blue and the code (train id + material) of each
pixel, so that every face paints its colour and its label with the same edge. The
canvas has `_FINE` × the picture's resolution; the picture is its average, the label map
one of its pixels, never a blend.
"""

from __future__ import annotations

import cv2
import numpy as np

from cfcontra.datasets.streets.arrays import Bytes, as_bytes
from cfcontra.datasets.streets.faces import Faces
from cfcontra.datasets.streets.mesh import CLASS_ID

_FINE = 2
_SHIFT = 4


def paint(
    faces: Faces, colors: Bytes, sky: Bytes, land: Bytes, horizon: float, size: tuple[int, int]
) -> tuple[Bytes, Bytes]:
    """Paint `faces` in order over sky and land.

    Args:
        faces: what to paint.
        colors: RGB of each face `[N, 3]`.
        sky: RGB of the sky `[h, w, 3]`, from the picture's top to the horizon, at any resolution.
        land: RGB `[3]` below the horizon, where no face is.
        horizon: the horizon's row in image heights.
        size: height and width of the picture.

    Returns:
        The picture `[H, W, 3]` and the codes `[H, W]`.
    """
    height, width = size[0] * _FINE, size[1] * _FINE
    canvas = np.empty((height, width, 4), dtype=np.uint8)
    edge = round(horizon * height)
    above = cv2.merge([*cv2.split(sky), np.full(sky.shape[:2], CLASS_ID["sky"], dtype=np.uint8)])
    cv2.resize(above, (width, edge), dst=canvas[:edge], interpolation=cv2.INTER_LINEAR)
    below = (*land.tolist(), CLASS_ID["terrain"])
    cv2.rectangle(canvas, (0, edge), (width, height), below, cv2.FILLED)

    points = faces.outline * np.float32(width)
    points[:, :, 1] += np.float32(horizon * height)
    fixed = np.rint((points - np.float32(0.5)) * np.float32(1 << _SHIFT)).astype(
        np.int32, order="C"
    )
    inks = np.column_stack([colors, faces.codes]).tolist()
    fill = cv2.fillConvexPoly
    for outline, corners, ink in zip(fixed, faces.corners.tolist(), inks, strict=True):
        fill(canvas, outline[:corners], ink, cv2.LINE_8, _SHIFT)

    small = (size[1], size[0])
    blended = cv2.resize(canvas, small, interpolation=cv2.INTER_AREA)
    picked = cv2.resize(canvas, small, interpolation=cv2.INTER_NEAREST)
    picture = cv2.cvtColor(blended, cv2.COLOR_RGBA2RGB)
    return as_bytes(picture), as_bytes(cv2.extractChannel(picked, 3))
