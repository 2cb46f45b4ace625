"""One shot: all that a style needs to know about the frame it is to light."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from cfcontra.datasets.streets.arrays import Bytes, Floats, as_bytes, as_floats
from cfcontra.datasets.streets.dice import Dice
from cfcontra.datasets.streets.faces import Faces, project, to_eye
from cfcontra.datasets.streets.mesh import CLASS_ID, LABEL_MASK, MATERIAL_SHIFT
from cfcontra.datasets.streets.noise import TILE, asphalt_tile, screen_tile
from cfcontra.datasets.streets.thing import Thing
from cfcontra.datasets.streets.world import Eye, World

_TEXTURED, _SHADED = 90.0, 75.0
_PERIOD = 16.0  # metres after which the ground's grain repeats
_ROUGH = {
    CLASS_ID["vegetation"]: 0.09,
    CLASS_ID["building"]: 0.022,
    CLASS_ID["wall"]: 0.04,
    CLASS_ID["terrain"]: 0.05,
    CLASS_ID["person"]: 0.03,
    CLASS_ID["rider"]: 0.03,
}
GROUND = ("road", "sidewalk", "terrain")
_GROUND_IDS = [CLASS_ID[label] for label in GROUND]
_IS_GROUND = np.array(
    [[255 * ((code & LABEL_MASK) in _GROUND_IDS)] for code in range(256)], np.uint8
)
_ROUGHNESS = np.array(
    [
        _ROUGH.get(code & LABEL_MASK, 0.0) if code >> MATERIAL_SHIFT == 0 else 0.0
        for code in range(256)
    ],
    dtype=np.float32,
)[:, None]


@dataclass(frozen=True)
class Shot:
    """A frame about to be lit.

    Attributes:
        world, eye, things, faces: what there is to see.
        time: seconds.
        size: height and width of the picture.
        weather: draws that stay the same over a drive.
        flicker: draws that differ from frame to frame.
    """

    world: World
    eye: Eye
    things: list[Thing]
    faces: Faces
    time: float
    size: tuple[int, int]
    weather: Dice
    flicker: Dice

    @property
    def horizon(self) -> float:
        """Row of the horizon in pixels."""
        return self.eye.horizon * self.size[0]

    @cached_property
    def first_ground_row(self) -> int:
        return min(self.size[0] - 1, int(self.horizon) + 1)

    def ground_map(self, rows: int, columns: int) -> tuple[Floats, Floats]:
        """Where pixels would meet the ground: metres right `[rows, columns]` and ahead `[rows, 1]`.

        The grid spans the picture from `first_ground_row` down.
        """
        top, height = self.first_ground_row, self.size[0]
        v = top + (np.arange(rows, dtype=np.float32) + 0.5) * ((height - top) / rows) - self.horizon
        ahead = self.eye.focal * self.size[1] * self.eye.height / np.maximum(v, 0.3)
        u = (np.arange(columns, dtype=np.float32) + 0.5) / columns - 0.5
        ahead = ahead[:, None].astype(np.float32)
        return (u[None, :] * ahead / np.float32(self.eye.focal)).astype(np.float32), ahead

    def is_ground(self, codes: Bytes) -> Bytes:
        """255 where the picture below the horizon shows ground, else 0."""
        return as_bytes(cv2.LUT(codes[self.first_ground_row :], _IS_GROUND))

    def texture(self) -> Floats:
        """Grain of the ground, anchored to the world `[rows, W]`, about -2 to 2, fading far out."""
        rows, columns = self.size[0] - self.first_ground_row, self.size[1]
        x, ahead = self.ground_map(rows // 2, columns // 2)
        ahead = np.minimum(ahead, np.float32(_TEXTURED))
        road = self.world.layout.bend(ahead, self.eye.s) + np.float32(self.eye.yaw) * ahead
        shift = np.float32(self.eye.x % _PERIOD) - road
        across = np.clip(x, -_TEXTURED, _TEXTURED) * np.float32(TILE / _PERIOD)
        across += shift * np.float32(TILE / _PERIOD)
        along = (ahead + np.float32(self.eye.s % _PERIOD)) * np.float32(TILE / _PERIOD)
        along = np.repeat(along, columns // 2, axis=1)
        cut = cv2.remap(
            asphalt_tile(), across, along, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        ).astype(np.float32)
        strength = np.clip(9.0 / ahead, 0.12, 1.0) * np.float32(1 / 48)
        grain = (cut - np.float32(128)) * strength.astype(np.float32)
        return as_floats(cv2.resize(grain, (columns, rows), interpolation=cv2.INTER_LINEAR))

    def bark_and_plaster(self, codes: Bytes) -> Floats:
        """Unevenness of what stands upright, as a gain `[H, W]`."""
        height, width = codes.shape
        return as_floats(screen_tile(height, width) * cv2.LUT(codes, _ROUGHNESS) + np.float32(1))

    def shadows(self, sun: tuple[float, float]) -> Floats:
        """How much of the ground is shaded, 0–1 `[rows, W]`.

        Args:
            sun: metres a shadow reaches right and ahead for each metre of height.
        """
        shapes = [
            outline
            for thing in self.things
            if thing.shadow is not None and thing.s - self.eye.s < _SHADED
            for outline in _shadow_outlines(thing, sun, self.eye.s)
        ]
        rows, columns = self.size[0] - self.first_ground_row, self.size[1]
        shade = np.zeros((rows, columns), dtype=np.uint8)
        if shapes:
            corners = np.array(shapes, dtype=np.float32).transpose(2, 0, 1)
            outline = project(self.eye, to_eye(self.world, self.eye, corners)).transpose(1, 2, 0)
            outline = np.clip(outline, -40, 40) * np.float32(columns)
            outline[:, :, 1] += self.horizon - self.first_ground_row
            fixed = np.rint((outline - 0.5) * 16).astype(np.int32, order="C")
            ahead = corners[2].max(axis=1) > 1.0
            for polygon in fixed[ahead]:
                cv2.fillConvexPoly(shade, polygon, 255, cv2.LINE_8, 4)
        soft = max(3, columns // 340 * 2 + 1)
        blurred = cv2.GaussianBlur(shade, (soft, soft), 0)
        return as_floats(blurred) * np.float32(1 / 255)


def _shadow_outlines(
    thing: Thing, sun: tuple[float, float], at: float
) -> list[list[tuple[float, float, float]]]:
    """Convex outlines on the ground, eight corners each, in metres ahead of `at`."""
    shadow = thing.shadow
    if shadow is None:
        return []
    z, w, length, tall = thing.s - at, shadow.half_width, shadow.half_length, shadow.height
    dx, dz = sun[0] * tall, sun[1] * tall
    if shadow.crown:
        ring = [(0.92, 0.38), (0.38, 0.92), (-0.38, 0.92), (-0.92, 0.38),
                (-0.92, -0.38), (-0.38, -0.92), (0.38, -0.92), (0.92, -0.38)]  # fmt: skip
        crown = [(thing.x + dx + w * a, 0.0, z + dz + length * b) for a, b in ring]
        stem = _swept(thing.x, z, 0.15, 0.15, dx, dz)
        return [crown, stem]
    if thing.outer:  # stands from s on, outward from x
        outward = 1.0 if thing.x > 0 else -1.0
        return [_swept(thing.x + outward * w, z + length, w, length, dx, dz)]
    return [_swept(thing.x, z, w, length, dx, dz)]


def _swept(
    x: float, z: float, w: float, length: float, dx: float, dz: float
) -> list[tuple[float, float, float]]:
    """Hull of a rectangle and the same rectangle moved by (dx, dz)."""
    sx, sz = (1.0 if dx >= 0 else -1.0), (1.0 if dz >= 0 else -1.0)
    a, b = sx * w, sz * length
    hull = [(-a, -b), (a, -b), (a + dx, -b + dz), (a + dx, b + dz), (-a + dx, b + dz), (-a, b)]
    corners = [(x + px, 0.0, z + pz) for px, pz in hull]
    return [*corners, corners[-1], corners[-1]]
