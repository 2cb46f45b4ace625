"""The ground: carriageway, kerbs, pavements, verges and what is painted on the road."""

from __future__ import annotations

from math import floor

import numpy as np

from cfcontra.datasets.streets.arrays import Floats
from cfcontra.datasets.streets.blocks import Block
from cfcontra.datasets.streets.layout import BLOCK, KERB_HEIGHT, Layout
from cfcontra.datasets.streets.mesh import CLASS_ID, CORNERS, Mesh, Rgb

ROAD: Rgb = (0.37, 0.37, 0.38)
PAVEMENT: Rgb = (0.56, 0.54, 0.51)
KERB: Rgb = (0.66, 0.65, 0.63)
GRASS: Rgb = (0.36, 0.44, 0.20)
_MARKS: dict[str, Rgb] = {
    "paint": (0.86, 0.86, 0.84),
    "patch": (0.29, 0.29, 0.30),
    "cover": (0.22, 0.21, 0.21),
    "rail": (0.52, 0.52, 0.54),
}
_STEPS = (1.5, 4, 6, 8.5, 11.5, 15, 19, 24, 30, 37, 45, 55, 67, 82, 100, 122, 150, 200, 420)
_MARK_SIGHT = 90.0
_FAR_OUT = 150.0

_Strip = tuple[float, float, float, float, Rgb, str]
"""x and y of its two edges, colour and class."""


def ground(layout: Layout, blocks: list[Block], first: int, at: float) -> Mesh:
    """Faces of the ground before `at`, in metres ahead of it, in painting order.

    Args:
        layout: the street.
        blocks: consecutive blocks, the first being number `first`.
        at: the eye's position along the road.
    """
    strips = _strips(layout)
    steps = np.array(_STEPS, dtype=np.float32)
    quads = [_quads(strips, steps)]
    colors = [np.repeat([strip[4] for strip in strips], len(_STEPS) - 1, axis=0)]
    labels = [np.repeat([CLASS_ID[strip[5]] for strip in strips], len(_STEPS) - 1)]
    spans, shades, classes = _rectangles(layout, blocks, first, at)
    flat = np.zeros((len(spans), 4, 3), dtype=np.float32)
    flat[:, :, 0] = spans[:, (0, 1, 1, 0)]
    flat[:, :, 2] = np.maximum(spans[:, (2, 2, 3, 3)], 1.0)
    quads.append(flat)
    corners = np.concatenate(quads)
    vertices = np.concatenate([corners, np.repeat(corners[:, 3:], CORNERS - 4, axis=1)], axis=1)
    count = len(vertices)
    return Mesh(
        vertices.transpose(2, 1, 0),
        np.full(count, 4, dtype=np.uint8),
        np.tile(np.array([[0, 1, 0]], dtype=np.float32), (count, 1)),
        np.concatenate([*colors, shades]).astype(np.float32),
        np.zeros(count, dtype=np.intp),
        np.concatenate([*labels, classes]).astype(np.uint8),
        np.zeros(count, dtype=np.int64),
        np.ones(count, dtype=np.bool_),
    )


def _strips(layout: Layout) -> list[_Strip]:
    high = KERB_HEIGHT
    left, right = layout.left, layout.right
    strips: list[_Strip] = []
    for side, sign in ((left, -1.0), (right, 1.0)):
        strips.append((sign * side.frontage, high, sign * _FAR_OUT, high, GRASS, "terrain"))
        for low, far, label in side.bands:
            color = PAVEMENT if label == "sidewalk" else GRASS
            strips.append((sign * low, high, sign * far, high, color, label))
    strips.append((-left.kerb, 0, right.kerb, 0, ROAD, "road"))
    for side, sign in ((left, -1.0), (right, 1.0)):
        edge, label = sign * side.kerb, side.bands[0][2]
        kerb = "sidewalk" if label == "sidewalk" else "terrain"
        strips.append((edge, 0, edge, high, tuple(0.8 * c for c in KERB), kerb))  # type: ignore[arg-type]
        strips.append((edge, high, edge + sign * 0.18, high, KERB, kerb))
        if side.parking:
            line = sign * side.lanes * layout.lane_width
            strips.append((line - 0.05, 0, line + 0.05, 0, (0.70, 0.70, 0.69), "road"))
    if left.lanes + right.lanes > 2:
        for x in (-0.14, 0.06):
            strips.append((x, 0, x + 0.1, 0, _MARKS["paint"], "road"))
    if layout.tram:
        for x in (-0.78, 0.66):
            middle = -0.5 * layout.lane_width
            strips.append((middle + x, 0, middle + x + 0.12, 0, _MARKS["rail"], "road"))
    return strips


def _quads(strips: list[_Strip], steps: Floats) -> Floats:
    """Each strip cut at `steps`: `[strips × (steps - 1), 4, 3]`."""
    edges = np.array([strip[:4] for strip in strips], dtype=np.float32)
    quads = np.empty((len(strips), len(steps) - 1, 4, 3), dtype=np.float32)
    for corner, (column, shift) in enumerate(((0, 0), (2, 0), (2, 1), (0, 1))):
        quads[:, :, corner, 0] = edges[:, column, None]
        quads[:, :, corner, 1] = edges[:, column + 1, None]
        quads[:, :, corner, 2] = steps[shift : len(steps) - 1 + shift]
    return quads.reshape(-1, 4, 3)


def _rectangles(
    layout: Layout, blocks: list[Block], first: int, at: float
) -> tuple[Floats, Floats, Floats]:
    """Crossing streets, then road marks: spans `[K, 4]`, colours `[K, 3]`, train ids `[K]`."""
    left, right = layout.left.kerb, layout.right.kerb
    found: list[tuple[float, float, float, float, Rgb, str]] = []
    for number, block in enumerate(blocks, first):
        if block.junction:
            s = number * BLOCK - at
            for x0, x1 in ((-_FAR_OUT, -left), (right, _FAR_OUT)):
                found.append((x0, x1, s, s + BLOCK, PAVEMENT, "sidewalk"))
                found.append((x0, x1, s + 4, s + BLOCK - 4, ROAD, "road"))
    width = layout.lane_width
    lines = [(k * width, 1) for k in range(1, layout.right.lanes)]
    lines += [(-k * width, -1) for k in range(1, layout.left.lanes)]
    if layout.left.lanes + layout.right.lanes == 2:
        lines.append((0.0, 1))
    for k in range(floor(at / 6.0), floor((at + _MARK_SIGHT) / 6.0) + 1):
        for x, _ in lines:
            s = k * 6.0 - at
            found.append((x - 0.06, x + 0.06, s, s + 3.0, _MARKS["paint"], "road"))
    for block in blocks:
        for mark in block.marks:
            if mark.s[0] - at < _MARK_SIGHT:
                color = _MARKS[mark.kind]
                found.append((*mark.x, mark.s[0] - at, mark.s[1] - at, color, "road"))
    found = [entry for entry in found if entry[3] > 1.5]
    spans = np.array([entry[:4] for entry in found], dtype=np.float32).reshape(-1, 4)
    colors = np.array([entry[4] for entry in found], dtype=np.float32).reshape(-1, 3)
    labels = np.array([CLASS_ID[entry[5]] for entry in found], dtype=np.float32)
    return spans, colors, labels
