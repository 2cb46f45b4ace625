"""Meshes: the convex, flat faces that objects are made of, and a builder for them.

Local coordinates in metres: x right, y up, z along the road, away from the camera;
the origin is where the object stands. Faces are painted in the order they were
added, so that details come after what carries them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray

from cfcontra.datasets.streets.arrays import Bytes, Floats
from cfcontra.label_space import LABEL_SPACES

Point = tuple[float, float, float]
Rgb = tuple[float, float, float]

CORNERS = 8
WHITE: Rgb = (1.0, 1.0, 1.0)
CLASS_ID = {name: i for i, name in enumerate(LABEL_SPACES["cityscapes19"].classes)}


class Material(IntEnum):
    """How light treats a face. Three bits: they share a byte with the train id."""

    MATTE = 0
    WINDOW = 1
    AUTO_GLASS = 2
    LAMP = 3
    HEADLAMP = 4
    TAILLAMP = 5
    SIGNAL = 6
    SHOP = 7


class Paint(IntEnum):
    """Which of an object's own colours multiplies a face's colour."""

    NONE = 0
    FIRST = 1
    SECOND = 2
    THIRD = 3


MATERIAL_SHIFT = 5
LABEL_MASK = 31


@dataclass(frozen=True)
class Mesh:
    """Faces of one object.

    Attributes:
        vertices: `[3, 8, N]`: x, y and z of each corner; faces with fewer than eight
            corners repeat the last one.
        corners: how many of them count `[N]`.
        normals: unit outward normals `[N, 3]`.
        albedo: RGB 0–1 `[N, 3]`.
        paint: `Paint` of each face `[N]`.
        codes: train id + 32 × `Material` `[N]`.
        spots: a number for each face's place on the object, the same at every detail `[N]`.
        two_sided: faces seen from both sides `[N]`.
    """

    vertices: Floats
    corners: Bytes
    normals: Floats
    albedo: Floats
    paint: NDArray[np.intp]
    codes: Bytes
    spots: NDArray[np.int64]
    two_sided: NDArray[np.bool_]


@dataclass(frozen=True)
class Surface:
    """What a face is made of."""

    label: str
    color: Rgb = WHITE
    paint: Paint = Paint.NONE
    material: Material = Material.MATTE

    @property
    def code(self) -> int:
        return CLASS_ID[self.label] + (int(self.material) << MATERIAL_SHIFT)


class MeshBuilder:
    """Collects faces, then `build` turns them into arrays."""

    def __init__(self) -> None:
        self._points: list[list[Point]] = []
        self._corners: list[int] = []
        self._normals: list[Point] = []
        self._surfaces: list[Surface] = []
        self._two_sided: list[bool] = []

    def face(
        self, points: Sequence[Point], surface: Surface, normal: Point, two_sided: bool = False
    ) -> None:
        """Add a convex face of 3 to 8 corners."""
        length = (normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2) ** 0.5
        self._points.append([*points, *[points[-1]] * (CORNERS - len(points))])
        self._corners.append(len(points))
        self._normals.append((normal[0] / length, normal[1] / length, normal[2] / length))
        self._surfaces.append(surface)
        self._two_sided.append(two_sided)

    def side(self, x: float, zy: Sequence[tuple[float, float]], surface: Surface) -> None:
        """A face in the plane `x`, looking away from the object's middle."""
        self.face([(x, y, z) for z, y in zy], surface, (1.0 if x > 0 else -1.0, 0.0, 0.0))

    def across(
        self, half: float, low: tuple[float, float], high: tuple[float, float], surface: Surface
    ) -> None:
        """A face from `-half` to `half` between two edges at `(z, y)`.

        Going round an object from the rear over the top to the front, the normal
        points outward.
        """
        (z0, y0), (z1, y1) = low, high
        points = [(-half, y0, z0), (half, y0, z0), (half, y1, z1), (-half, y1, z1)]
        self.face(points, surface, (0.0, z1 - z0, y0 - y1))

    def box(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        z: tuple[float, float],
        surface: Surface,
        faces: str = "frlt",
    ) -> None:
        """A box; `faces` lists near (f), far (b), right (r), left (l), top (t), under (u)."""
        (x0, x1), (y0, y1), (z0, z1) = x, y, z
        corners: dict[str, tuple[list[Point], Point]] = {
            "b": ([(x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)], (0, 0, 1)),
            "t": ([(x0, y1, z0), (x1, y1, z0), (x1, y1, z1), (x0, y1, z1)], (0, 1, 0)),
            "u": ([(x0, y0, z0), (x1, y0, z0), (x1, y0, z1), (x0, y0, z1)], (0, -1, 0)),
            "r": ([(x1, y0, z0), (x1, y0, z1), (x1, y1, z1), (x1, y1, z0)], (1, 0, 0)),
            "l": ([(x0, y0, z0), (x0, y0, z1), (x0, y1, z1), (x0, y1, z0)], (-1, 0, 0)),
            "f": ([(x0, y0, z0), (x1, y0, z0), (x1, y1, z0), (x0, y1, z0)], (0, 0, -1)),
        }
        for name in faces:
            points, normal = corners[name]
            self.face(points, surface, normal)

    def wheel(self, x: float, y: float, z: float, radius: float, surface: Surface) -> None:
        """An octagon in the plane `x`."""
        self.side(x, [(z + dz, y + dy) for dz, dy in octagon(radius, radius)], surface)

    def card(
        self,
        points: Sequence[tuple[float, float]],
        surface: Surface,
        normal: Point = (0.0, 0.2, -1.0),
        z: float = 0.0,
    ) -> None:
        """A face across the road at `z`, seen from both sides."""
        self.face([(x, y, z) for x, y in points], surface, normal, two_sided=True)

    def blob(
        self,
        center: Point,
        radii: tuple[float, float],
        surface: Surface,
        normal: Point = (0.0, 0.2, -1.0),
        turn: float = 0.0,
    ) -> None:
        """An octagonal card."""
        points = [(center[0] + x, center[1] + y) for x, y in octagon(*radii, turn=turn)]
        self.card(points, surface, normal, center[2])

    def build(self) -> Mesh:
        points = np.array(self._points, dtype=np.float32)
        first = np.rint(points[:, 0] * 100).astype(np.int64)
        return Mesh(
            points.transpose(2, 1, 0).copy(),
            np.array(self._corners, dtype=np.uint8),
            np.array(self._normals, dtype=np.float32),
            np.array([s.color for s in self._surfaces], dtype=np.float32),
            np.array([int(s.paint) for s in self._surfaces], dtype=np.intp),
            np.array([s.code for s in self._surfaces], dtype=np.uint8),
            first @ np.array([1, 7919, 104729]),
            np.array(self._two_sided, dtype=np.bool_),
        )


def octagon(rx: float, ry: float, turn: float = 0.0) -> list[tuple[float, float]]:
    angles = [turn + (k + 0.5) * pi / 4 for k in range(CORNERS)]
    return [(rx * cos(a), ry * sin(a)) for a in angles]


def rectangle(x0: float, x1: float, y0: float, y1: float) -> list[tuple[float, float]]:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def inset(quad: Sequence[Point], u: tuple[float, float], v: tuple[float, float]) -> list[Point]:
    """The part of a quad between the fractions `u` along it and `v` up it."""
    a, b, c, d = (np.asarray(p, dtype=np.float64) for p in quad)

    def at(s: float, t: float) -> Point:
        x, y, z = (a * (1 - s) + b * s) * (1 - t) + (d * (1 - s) + c * s) * t
        return float(x), float(y), float(z)

    return [at(u[0], v[0]), at(u[1], v[0]), at(u[1], v[1]), at(u[0], v[1])]
