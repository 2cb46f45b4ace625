"""Street furniture: lamps, poles, traffic lights and traffic signs.

Everything stands at x = 0 and reaches toward -x, over the street; a negative x
scale mirrors it to the other side.
"""

from __future__ import annotations

from functools import cache
from math import pi

from cfcontra.datasets.streets.mesh import (
    Material,
    Mesh,
    MeshBuilder,
    Rgb,
    Surface,
    octagon,
    rectangle,
)

LAMP_HEIGHT, LAMP_REACH = 6.6, 1.5
SIGNS = 8
_STEEL: Rgb = (0.46, 0.47, 0.48)
_GREY: Rgb = (0.62, 0.62, 0.62)
_BLACK: Rgb = (0.08, 0.08, 0.09)
_RED: Rgb = (0.80, 0.07, 0.08)
_BLUE: Rgb = (0.05, 0.22, 0.66)
_WHITE: Rgb = (0.95, 0.95, 0.95)
_YELLOW: Rgb = (0.98, 0.80, 0.08)


def _post(build: MeshBuilder, height: float, radius: float, x: float = 0.0) -> None:
    """A round post: a lit and a shaded half."""
    lit, shaded = Surface("pole", _STEEL), Surface("pole", tuple(0.8 * c for c in _STEEL))  # type: ignore[arg-type]
    build.card(rectangle(x - radius, x, 0.0, height), lit, (-0.7, 0.1, -0.7))
    build.card(rectangle(x, x + radius, 0.0, height), shaded, (0.7, 0.1, -0.7))


@cache
def street_lamp(_detail: int) -> Mesh:
    """A lamp post with an arm over the street."""
    build = MeshBuilder()
    steel = Surface("pole", _STEEL)
    _post(build, LAMP_HEIGHT, 0.085)
    build.card(rectangle(-0.13, 0.13, 0.0, 0.9), steel)
    arm = [(0.05, LAMP_HEIGHT - 0.35), (0.05, LAMP_HEIGHT - 0.2),
           (-LAMP_REACH, LAMP_HEIGHT + 0.12), (-LAMP_REACH, LAMP_HEIGHT)]  # fmt: skip
    build.card(arm, steel)
    head = (-LAMP_REACH - 0.55, -LAMP_REACH + 0.15)
    build.box(head, (LAMP_HEIGHT, LAMP_HEIGHT + 0.18), (-0.14, 0.14), steel, "flr")
    glow = Surface("pole", _WHITE, material=Material.LAMP)
    build.box(
        (head[0] + 0.04, head[1] - 0.1),
        (LAMP_HEIGHT - 0.07, LAMP_HEIGHT + 0.02),
        (-0.15, 0.1),
        glow,
        "flru",
    )
    return build.build()


@cache
def bare_pole(_detail: int) -> Mesh:
    """A tall pole for wires."""
    build = MeshBuilder()
    _post(build, 8.2, 0.11)
    build.card(rectangle(-0.9, 0.9, 7.5, 7.62), Surface("pole", _STEEL))
    return build.build()


@cache
def bollard(_detail: int) -> Mesh:
    build = MeshBuilder()
    _post(build, 0.95, 0.07)
    build.card(rectangle(-0.07, 0.07, 0.72, 0.84), Surface("pole", _WHITE), z=-0.01)
    return build.build()


def _signal_head(build: MeshBuilder, x: float, y: float, state: int, front: bool) -> None:
    housing = Surface("traffic light", (0.10, 0.11, 0.11))
    build.box(
        (x - 0.19, x + 0.19), (y, y + 1.0), (-0.15, 0.12), housing, "flrt" if front else "flrb"
    )
    if not front:
        return
    rim = Surface("traffic light", (0.16, 0.17, 0.17))
    build.card(rectangle(x - 0.25, x + 0.25, y - 0.05, y + 1.05), rim, z=-0.14)
    build.card(rectangle(x - 0.21, x + 0.21, y, y + 1.0), housing, z=-0.15)
    colors: tuple[Rgb, Rgb, Rgb] = ((0.15, 0.95, 0.55), (1.0, 0.70, 0.10), (1.0, 0.13, 0.10))
    for k, color in enumerate(colors):
        on = k == state
        dim: Rgb = (color[0] * 0.25, color[1] * 0.25, color[2] * 0.25)
        material = Material.SIGNAL if on else Material.MATTE
        lens = Surface("traffic light", color if on else dim, material=material)
        points = [(x + dx, y + 0.2 + 0.3 * k + dy) for dx, dy in octagon(0.12, 0.12)]
        build.card(points, lens, z=-0.16)


@cache
def traffic_light(state: int, front: bool, overhead: bool, _detail: int) -> Mesh:
    """A signal on a post; `state` 0 green, 1 amber, 2 red; `overhead` adds an arm with another."""
    build = MeshBuilder()
    _post(build, 6.0 if overhead else 3.5, 0.09)
    if overhead:
        build.card(rectangle(-4.6, 0.0, 5.75, 5.90), Surface("pole", _STEEL))
        _signal_head(build, -4.3, 5.1, state, front)
    _signal_head(build, -0.02, 2.4, state, front)
    return build.build()


@cache
def traffic_sign(kind: int, front: bool, _detail: int) -> Mesh:
    """A sign on a post; `kind` in `0..SIGNS-1`. From behind it is a grey plate."""
    build = MeshBuilder()
    _post(build, 3.2 if kind < 6 else 3.8, 0.06)
    y, z = 2.65, -0.08
    if kind == 7:
        y = 2.9
        _plate(build, rectangle(-1.6, 0.7, y - 0.65, y + 0.75), _BLUE if front else _GREY, z)
        if front:
            _plate(build, rectangle(-1.45, 0.1, y + 0.30, y + 0.50), _WHITE, z - 0.01)
            _plate(build, rectangle(-1.45, 0.4, y - 0.05, y + 0.12), _WHITE, z - 0.01)
            _plate(build, rectangle(-1.45, -0.3, y - 0.42, y - 0.24), _WHITE, z - 0.01)
        return build.build()
    if not front:
        _plate(build, [(x, y + dy) for x, dy in octagon(0.40, 0.40)], _GREY, z)
        return build.build()
    if kind in (0, 1):  # prohibition and speed limit
        for radius, color in ((0.42, _RED), (0.31, _WHITE)):
            _plate(build, [(x, y + dy) for x, dy in octagon(radius, radius)], color, z)
        _plate(build, rectangle(-0.16, -0.04, y - 0.13, y + 0.13), _BLACK, z - 0.01)
        _plate(build, rectangle(0.04, 0.16, y - 0.13, y + 0.13), _BLACK, z - 0.01)
    elif kind == 2:  # warning
        for size, color in ((0.50, _RED), (0.33, _WHITE)):
            _plate(
                build, [(-size, y - size * 0.7), (size, y - size * 0.7), (0.0, y + size)], color, z
            )
        _plate(build, rectangle(-0.04, 0.04, y - 0.15, y + 0.12), _BLACK, z - 0.01)
    elif kind == 3:  # give way
        for size, color in ((0.50, _RED), (0.32, _WHITE)):
            _plate(
                build, [(-size, y + size * 0.7), (size, y + size * 0.7), (0.0, y - size)], color, z
            )
    elif kind == 4:  # stop
        _plate(build, [(x, y + dy) for x, dy in octagon(0.45, 0.45, pi / 8)], _WHITE, z)
        _plate(build, [(x, y + dy) for x, dy in octagon(0.41, 0.41, pi / 8)], _RED, z)
        _plate(build, rectangle(-0.27, 0.27, y - 0.08, y + 0.08), _WHITE, z - 0.01)
    elif kind == 5:  # parking, crossing
        _plate(build, rectangle(-0.40, 0.40, y - 0.40, y + 0.40), _BLUE, z)
        _plate(build, [(-0.22, y - 0.25), (0.22, y - 0.25), (0.0, y + 0.28)], _WHITE, z - 0.01)
    else:  # priority road
        for size, color in ((0.52, _WHITE), (0.40, _YELLOW)):
            _plate(build, [(-size, y), (0.0, y - size), (size, y), (0.0, y + size)], color, z)
    return build.build()


def _plate(build: MeshBuilder, points: list[tuple[float, float]], color: Rgb, z: float) -> None:
    build.card(points, Surface("traffic sign", color), z=z)
