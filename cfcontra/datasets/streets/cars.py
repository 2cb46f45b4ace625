"""Passenger cars and vans."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from cfcontra.datasets.streets.mesh import (
    Material,
    Mesh,
    MeshBuilder,
    Paint,
    Point,
    Surface,
    inset,
)


@dataclass(frozen=True)
class CarShape:
    """Metres; z positions are fractions of the length, from the rear (0) to the front (1)."""

    length: float
    width: float
    height: float
    belt: float
    rear_glass: tuple[float, float]
    windscreen: tuple[float, float]


CARS = (
    CarShape(4.6, 1.82, 1.45, 0.92, (0.13, 0.26), (0.74, 0.56)),  # saloon
    CarShape(4.0, 1.76, 1.48, 0.93, (0.03, 0.12), (0.77, 0.58)),  # hatchback
    CarShape(4.6, 1.90, 1.72, 1.06, (0.03, 0.09), (0.75, 0.60)),  # off-roader
    CarShape(4.7, 1.82, 1.50, 0.94, (0.03, 0.13), (0.74, 0.57)),  # estate
    CarShape(5.2, 1.98, 2.20, 1.15, (0.01, 0.03), (0.84, 0.70)),  # van
)


def wheels(
    build: MeshBuilder,
    label: str,
    half: float,
    radius: float,
    axles: tuple[float, ...],
    detail: int,
) -> None:
    tyre = Surface(label, (0.07, 0.07, 0.08))
    arch = Surface(label, (0.05, 0.05, 0.055))
    for x in (-half, half):
        for z in axles:
            if detail < 2:
                build.wheel(x * 1.002, radius, z, radius * 1.12, arch)
            build.wheel(x * 1.004, radius, z, radius * (1.06 if detail == 2 else 0.98), tyre)
            if detail == 2:
                continue
            build.wheel(x * 1.006, radius, z, radius * 0.60, Surface(label, (0.55, 0.56, 0.58)))
            build.wheel(x * 1.008, radius, z, radius * 0.25, Surface(label, (0.25, 0.25, 0.27)))


def tyres_end_on(build: MeshBuilder, label: str, half: float, z: float, radius: float) -> None:
    tyre = Surface(label, (0.06, 0.06, 0.065))
    for x in (-half, half):
        inner = x - 0.22 if x > 0 else x + 0.22
        span = (min(x, inner), max(x, inner))
        build.box(span, (0.0, 2 * radius), (-z + 0.25, z - 0.25), tyre, "fb")


@cache
def car(shape: int, detail: int) -> Mesh:
    """A passenger car; `shape` indexes `CARS`."""
    form = CARS[shape]
    half, rear, front = form.width / 2, -form.length / 2, form.length / 2
    belt, roof, sill, nose, tail = form.belt, form.height, 0.26, form.belt * 0.78, form.belt * 0.88

    def along(fraction: float) -> float:
        return rear + fraction * form.length

    body = Surface("car", paint=Paint.FIRST)
    dark = Surface("car", (0.09, 0.09, 0.10))
    glass = Surface("car", (0.13, 0.16, 0.19), material=Material.AUTO_GLASS)
    build = MeshBuilder()
    build.box((-half + 0.1, half - 0.1), (0.14, sill + 0.1), (rear + 0.15, front - 0.15), dark)
    tyres_end_on(build, "car", half - 0.02, front - 0.3, 0.31)

    cowl = along(form.windscreen[0])
    profile = [
        (rear + 0.06, sill),
        (rear, 0.45),
        (rear, tail),
        (rear + 0.10, belt),
        (cowl, belt),
        (front - 0.10, nose),
        (front, 0.45),
        (front - 0.06, sill),
    ]
    for x in (-half, half):
        build.side(x, profile, body)
    for low, high in pairwise(profile):
        build.across(half, low, high, body)

    for x in (-half, half):
        mirror = (x, x + 0.16) if x > 0 else (x - 0.16, x)
        build.box(mirror, (belt, belt + 0.13), (cowl - 0.35, cowl - 0.2), body, "fblrt")

    bottom, top = half - 0.04, half - 0.20
    glass_low, glass_high = along(form.rear_glass[0]), along(form.rear_glass[1])
    screen_high = along(form.windscreen[1])
    for sign in (-1.0, 1.0):
        quad: list[Point] = [
            (sign * bottom, belt, glass_low),
            (sign * bottom, belt, cowl),
            (sign * top, roof, screen_high),
            (sign * top, roof, glass_high),
        ]
        normal = (sign, (bottom - top) / (roof - belt), 0.0)
        build.face(quad, body, normal)
        for u in ((0.05, 0.46), (0.50, 0.93)):
            build.face(inset(quad, u, (0.08, 0.86)), glass, normal)
    screens = (
        ((glass_low, belt), (glass_high, roof)),
        ((screen_high, roof), (cowl, belt)),
    )
    for (z0, y0), (z1, y1) in screens:
        w0, w1 = (bottom, top) if y0 < y1 else (top, bottom)
        quad = [(-w0, y0, z0), (w0, y0, z0), (w1, y1, z1), (-w1, y1, z1)]
        normal = (0.0, z1 - z0, y0 - y1)
        build.face(quad, body, normal)
        build.face(inset(quad, (0.07, 0.93), (0.07, 0.90)), glass, normal)
    build.face(
        [
            (-top, roof, glass_high),
            (top, roof, glass_high),
            (top, roof, screen_high),
            (-top, roof, screen_high),
        ],
        body,
        (0, 1, 0),
    )
    wheels(build, "car", half, 0.32, (along(0.18), along(0.80)), detail)
    _car_ends(build, half, rear, front, tail, nose)
    if detail == 0:
        for x in (-half, half):
            build.side(x * 1.001, [(rear + 1.0, 0.32), (front - 1.1, 0.32),
                                   (front - 1.1, 0.36), (rear + 1.0, 0.36)], dark)  # fmt: skip
            build.side(x * 1.001, [(along(0.47), 0.38), (along(0.475), 0.38),
                                   (along(0.475), belt), (along(0.47), belt)], dark)  # fmt: skip
    return build.build()


def _car_ends(
    build: MeshBuilder, half: float, rear: float, front: float, tail: float, nose: float
) -> None:
    plate = Surface("car", (0.90, 0.90, 0.84))
    bumper = Surface("car", (0.12, 0.12, 0.13))
    lamp = Surface("car", (0.62, 0.05, 0.05), material=Material.TAILLAMP)
    headlamp = Surface("car", (0.90, 0.92, 0.95), material=Material.HEADLAMP)
    behind, ahead = rear - 0.01, front + 0.01
    build.box((-half + 0.04, half - 0.04), (0.26, 0.42), (behind, ahead), bumper, "fb")
    build.box((-0.26, 0.26), (0.50, 0.61), (behind - 0.01, behind), plate, "f")
    build.box((-0.26, 0.26), (0.34, 0.44), (ahead, ahead + 0.01), plate, "b")
    build.box((-0.50, 0.50), (0.45, 0.60), (ahead, ahead + 0.01), bumper, "b")
    for sign in (-1, 1):
        inner, outer = sign * (half - 0.42), sign * (half - 0.03)
        span = (min(inner, outer), max(inner, outer))
        build.box(span, (tail - 0.20, tail - 0.02), (behind, rear), lamp, "f")
        build.box(span, (nose - 0.20, nose - 0.05), (front - 0.05, ahead), headlamp, "b")
