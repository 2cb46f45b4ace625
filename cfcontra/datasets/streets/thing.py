"""A thing: one object standing or moving in the world."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cfcontra.datasets.streets.mesh import WHITE, Mesh, Rgb

MeshSource = Callable[[int], Mesh]
"""Level of detail (0 near, 1 middle, 2 far) → mesh."""


class Shadow(NamedTuple):
    """The shape that throws a shadow: a box on the ground, or a crown on a trunk."""

    half_width: float
    half_length: float
    height: float
    crown: bool = False


class Thing(NamedTuple):
    """One object in road coordinates.

    Attributes:
        mesh: gives its faces at a level of detail.
        x, y, s: where it stands: metres right of the road's middle, up, along the road.
        near, far: metres it reaches before and beyond `s`, for culling and ordering.
        outer: it flanks the street (a façade, a wall): whatever stands beside it is in
            front of it. Everything else is in front of what stands beside it outward.
        turned: it faces the camera's way of travel (False) or comes toward it (True).
        lights: its head- and tail-lamps are on.
        scale: stretch along x, y and z; a negative x mirrors.
        paint: its own colours, `Paint.FIRST` to `THIRD`.
        seed: tells its windows apart from those of another of the same make.
        shadow: what shades the ground.
        lamp: for street lamps, where the light hangs, relative to (x, y).
    """

    mesh: MeshSource
    x: float
    s: float
    y: float = 0.0
    near: float = 0.5
    far: float = 0.5
    outer: bool = False
    turned: bool = False
    lights: bool = True
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    paint: tuple[Rgb, Rgb, Rgb] = (WHITE, WHITE, WHITE)
    seed: int = 0
    shadow: Shadow | None = None
    lamp: tuple[float, float] | None = None
