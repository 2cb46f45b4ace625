"""Pedestrians, and people on bicycles and motorcycles."""

from __future__ import annotations

from functools import cache

from cfcontra.datasets.streets.mesh import (
    Material,
    Mesh,
    MeshBuilder,
    Paint,
    Surface,
    rectangle,
)

STRIDES = 6
_LEFT, _RIGHT = (-0.8, 0.2, -0.8), (0.8, 0.2, -0.8)
_SKIN = ((0.86, 0.66, 0.53), (0.62, 0.44, 0.33), (0.40, 0.27, 0.20))
_HAIR = ((0.12, 0.09, 0.07), (0.35, 0.22, 0.12), (0.55, 0.45, 0.30))


def _torso(
    build: MeshBuilder, label: str, low: float, high: float, waist: float, chest: float, z: float
) -> None:
    """Two halves that catch light from either side."""
    top = Surface(label, paint=Paint.FIRST)
    for sign, normal in ((-1, _LEFT), (1, _RIGHT)):
        points = [
            (0.0, low),
            (sign * waist, low),
            (sign * chest, high - 0.08),
            (sign * chest * 0.6, high),
            (0.0, high + 0.02),
        ]
        build.card(points, top, normal, z)


def _head(build: MeshBuilder, label: str, y: float, look: int, z: float, helmet: bool) -> None:
    hair = Surface(label, paint=Paint.THIRD) if helmet else Surface(label, _HAIR[look % 3])
    skin = Surface(label, _SKIN[look // 3 % 3])
    build.card(rectangle(-0.05, 0.05, y - 0.18, y), skin, z=z)
    build.blob((0.0, y + 0.02, z), (0.115, 0.14), hair)
    if look % 2 == 0:
        build.blob((0.0, y - 0.03, z), (0.085, 0.095), skin)


@cache
def pedestrian(look: int, stride: int, sideways: bool, detail: int) -> Mesh:
    """A person of 1.75 m; `stride` in `0..STRIDES-1` is the phase of the step."""
    build = MeshBuilder()
    phase = stride / (STRIDES - 1) * 2 - 1
    reach = 0.26 * phase if sideways else 0.03 * phase
    near = detail < 2
    trousers = Surface("person", paint=Paint.SECOND)
    shade = Surface("person", (0.72, 0.72, 0.72), paint=Paint.SECOND)
    shoe = Surface("person", (0.10, 0.09, 0.09))
    sleeve = Surface("person", (0.85, 0.85, 0.85), paint=Paint.FIRST)
    skin = Surface("person", _SKIN[look // 3 % 3])
    hip = 0.0 if sideways else 0.09
    for sign, surface in ((-1, shade), (1, trousers)):
        foot = sign * (hip + reach)
        lift = max(0.0, sign * phase) * 0.07
        knee = (foot + sign * hip) / 2
        build.card(
            [(sign * hip - 0.09, 0.92), (sign * hip + 0.09, 0.92), (knee + 0.07, 0.5),
             (foot + 0.05, 0.06 + lift), (foot - 0.05, 0.06 + lift), (knee - 0.07, 0.5)],
            surface, _LEFT if sign < 0 else _RIGHT,
        )  # fmt: skip
        if near:
            build.card(rectangle(foot - 0.06, foot + 0.09, lift, 0.08 + lift), shoe)
    if look % 4 == 1:  # a long coat
        build.card([(-0.22, 0.5), (0.22, 0.5), (0.17, 1.0), (-0.17, 1.0)], sleeve)
    width = 0.15 if sideways else 0.20
    for sign in (-1, 1) if near else ():
        swing = -reach * sign * 0.8
        shoulder = 0.02 if sideways else sign * (width + 0.02)
        hand = swing if sideways else sign * (width + 0.07)
        build.card(
            [(shoulder - 0.06, 1.42), (shoulder + 0.06, 1.42),
             (hand + 0.05, 0.9), (hand - 0.05, 0.9)],
            sleeve,
        )  # fmt: skip
        build.blob((hand, 0.86, 0.0), (0.05, 0.06), skin)
    _torso(build, "person", 0.86, 1.47, width * 0.85, width, 0.0)
    if look % 3 == 0:  # a bag
        x = width + 0.02
        build.card(rectangle(x - 0.08, x + 0.14, 0.72, 1.05), Surface("person", paint=Paint.THIRD))
    _head(build, "person", 1.60, look, 0.0, helmet=False)
    return build.build()


def _sit(
    build: MeshBuilder, look: int, seat: float, spread: float, pedal: float, helmet: bool
) -> None:
    """The rider above a saddle at height `seat`."""
    legs = Surface("rider", paint=Paint.SECOND)
    shoe = Surface("rider", (0.10, 0.09, 0.09))
    sleeve = Surface("rider", (0.85, 0.85, 0.85), paint=Paint.FIRST)
    for sign, height in ((-1, pedal), (1, 0.55 - pedal)):
        x, foot = sign * spread, max(0.16, height)
        knee = (seat + foot) / 2 + 0.06
        build.card(
            [(sign * 0.04, seat + 0.05), (sign * 0.16, seat + 0.03), (x + sign * 0.08, knee),
             (x + sign * 0.04, foot), (x - sign * 0.05, foot), (x - sign * 0.06, knee)],
            legs,
        )  # fmt: skip
        build.card(rectangle(x - 0.06, x + 0.06, foot - 0.08, foot + 0.01), shoe)
        build.card(
            [(sign * 0.14, seat + 0.58), (sign * 0.22, seat + 0.52),
             (sign * (spread + 0.17), seat + 0.14), (sign * (spread + 0.10), seat + 0.12)],
            sleeve,
        )  # fmt: skip
    _torso(build, "rider", seat - 0.02, seat + 0.62, 0.17, 0.20, 0.0)
    _head(build, "rider", seat + 0.75, look, 0.0, helmet)


@cache
def cyclist(look: int, rider: bool, detail: int) -> Mesh:
    """A bicycle, with or without its rider."""
    build = MeshBuilder()
    tyre = Surface("bicycle", (0.10, 0.10, 0.10))
    frame = Surface("bicycle", paint=Paint.THIRD)
    rim = Surface("bicycle", (0.42, 0.43, 0.45))
    for x in (-0.02, 0.02):
        for z in (0.52, -0.52):
            build.wheel(x, 0.34, z, 0.34, tyre)
            build.wheel(x * 1.1, 0.34, z, 0.28, rim)
        if detail == 2:
            continue
        build.side(x * 1.2, [(-0.52, 0.32), (-0.48, 0.38), (-0.14, 0.90), (-0.20, 0.90)], frame)
        build.side(x * 1.2, [(-0.16, 0.76), (-0.14, 0.84), (0.42, 0.90), (0.42, 0.82)], frame)
        build.side(x * 1.2, [(-0.03, 0.30), (0.03, 0.30), (0.44, 0.84), (0.38, 0.86)], frame)
        build.side(x * 1.2, [(0.48, 0.34), (0.55, 0.34), (0.43, 1.02), (0.36, 1.02)], frame)
    build.card(rectangle(-0.035, 0.035, 0.0, 0.68), tyre, z=0.52)
    build.card(rectangle(-0.30, 0.30, 0.98, 1.03), tyre, z=0.36)
    if rider:
        _sit(build, look, 0.92, 0.13, 0.12 + 0.1 * (look % 4), helmet=look % 2 == 1)
    build.card(rectangle(-0.035, 0.035, 0.0, 0.70), tyre, z=-0.53)
    build.card(rectangle(-0.05, 0.05, 0.62, 0.70), Surface("bicycle", (0.6, 0.1, 0.1)), z=-0.54)
    build.card(rectangle(-0.09, 0.09, 0.86, 0.93), tyre, z=-0.2)
    if rider and look % 3 == 0:
        build.card(rectangle(-0.14, 0.14, 1.05, 1.45), Surface("rider", paint=Paint.THIRD), z=-0.1)
    return build.build()


@cache
def motorcyclist(look: int, turned: bool, rider: bool, detail: int) -> Mesh:
    """A motorcycle, with or without its rider."""
    build = MeshBuilder()
    tyre = Surface("motorcycle", (0.08, 0.08, 0.08))
    body = Surface("motorcycle", paint=Paint.THIRD)
    dark = Surface("motorcycle", (0.16, 0.16, 0.17))
    for x in (-0.07, 0.07):
        for z in (0.68, -0.68):
            build.wheel(x, 0.32, z, 0.33, tyre)
            if detail < 2:
                build.wheel(x * 1.1, 0.32, z, 0.17, Surface("motorcycle", (0.5, 0.5, 0.52)))
    build.box((-0.08, 0.08), (0.0, 0.64), (-0.98, 0.98), tyre, "fb")
    build.box((-0.17, 0.17), (0.34, 0.72), (-0.5, 0.5), dark, "frlb")
    if turned and rider:
        _sit(build, look, 0.80, 0.20, 0.28, helmet=True)
    build.box((-0.19, 0.19), (0.60, 0.90), (-0.15, 0.66), body, "frltb")
    build.box((-0.15, 0.15), (0.66, 0.86), (-0.85, -0.15), body, "frlt")
    build.box((-0.36, 0.36), (0.98, 1.03), (0.5, 0.52), dark, "fb")
    build.box((-0.17, 0.17), (0.85, 1.18), (0.64, 0.66), dark, "fb")
    lamp = Surface("motorcycle", (0.9, 0.92, 0.95), material=Material.HEADLAMP)
    build.box((-0.10, 0.10), (0.78, 0.94), (0.68, 0.70), lamp, "b")
    if not turned and rider:
        _sit(build, look, 0.80, 0.20, 0.28, helmet=True)
    tail = Surface("motorcycle", (0.62, 0.05, 0.05), material=Material.TAILLAMP)
    build.box((-0.11, 0.11), (0.70, 0.80), (-0.87, -0.86), tail, "f")
    build.box(
        (-0.10, 0.10), (0.48, 0.62), (-0.88, -0.87), Surface("motorcycle", (0.88, 0.88, 0.8)), "f"
    )
    return build.build()
