"""Buildings, walls and fences: what closes a street off to the side.

Their street side is the plane x = 0, looking toward -x; a negative x scale mirrors
them to the other side of the road. They reach from z = 0 to their length.
"""

from __future__ import annotations

from functools import cache

from cfcontra.datasets.streets.dice import Dice
from cfcontra.datasets.streets.mesh import (
    Material,
    Mesh,
    MeshBuilder,
    Paint,
    Point,
    Surface,
)

BAY, STOREY, GROUND = 2.9, 3.1, 3.7
STYLES = 6
_DEPTH = 10.0
_STREET: Point = (-1.0, 0.0, 0.0)

_wall = Surface("building", paint=Paint.FIRST)
_worn = Surface("building", (0.88, 0.88, 0.88), paint=Paint.FIRST)
_trim = Surface("building", paint=Paint.THIRD)
_roof = Surface("building", paint=Paint.SECOND)
_glass = Surface("building", (0.16, 0.20, 0.25), material=Material.WINDOW)
_shop_glass = Surface("building", (0.17, 0.20, 0.23), material=Material.SHOP)
_door = Surface("building", (0.24, 0.16, 0.11))
_plinth = Surface("building", (0.42, 0.41, 0.40))


def building_height(storeys: int) -> float:
    return GROUND + (storeys - 1) * STOREY + 0.5


def _panel(
    build: MeshBuilder, z: tuple[float, float], y: tuple[float, float], surface: Surface, x: float
) -> None:
    """A rectangle on the façade, `x` metres behind (or, negative, before) it."""
    points = [(x, y[0], z[0]), (x, y[0], z[1]), (x, y[1], z[1]), (x, y[1], z[0])]
    build.face(points, surface, _STREET)


@cache
def building(bays: int, storeys: int, style: int, detail: int) -> Mesh:
    """A house of `bays` × `storeys` windows; `style` in `0..STYLES-1`."""
    dice = Dice(bays, storeys, style)
    build = MeshBuilder()
    length, height = bays * BAY, building_height(storeys)
    gabled = style in (1, 4) and storeys <= 5
    _shell(build, length, height, gabled)
    window = (dice.between(1.0, 1.6), dice.between(1.4, 1.9))
    shutters, balconies = style == 4, style in (2, 5)
    for storey in range(1, storeys):
        sill = GROUND + (storey - 1) * STOREY + 0.85
        if style in (0, 3):
            _panel(build, (0, length), (sill - 0.92, sill - 0.72), _trim, -0.02)
        for bay in range(bays):
            middle = (bay + 0.5) * BAY
            z = (middle - window[0] / 2, middle + window[0] / 2)
            y = (sill, sill + window[1])
            if balconies and bay % 3 == 1 and detail < 2:
                y = (sill - 0.7, y[1])
            if detail < 2:
                _panel(build, (z[0] - 0.13, z[1] + 0.13), (y[0] - 0.15, y[1] + 0.12), _trim, -0.01)
            if shutters and detail == 0:
                for edge in (z[0] - 0.5, z[1] + 0.08):
                    _panel(build, (edge, edge + 0.42), y, _roof, -0.03)
            _panel(build, z, y, _glass, -0.02)
            if detail == 0:
                _panel(build, (middle - 0.035, middle + 0.035), y, _trim, -0.03)
                cross = y[1] - 0.5
                _panel(build, z, (cross - 0.03, cross + 0.03), _trim, -0.03)
            if balconies and bay % 3 == 1 and detail < 2:
                _balcony(build, z, sill - 0.75)
    _ground_floor(build, bays, style, dice, detail)
    _end_wall(build, storeys, window, detail)
    return build.build()


def _shell(build: MeshBuilder, length: float, height: float, gabled: bool) -> None:
    build.box((0.0, _DEPTH), (0.0, height), (0.0, length), _wall, "b")
    _panel(build, (0.0, length), (0.0, height), _wall, 0.0)
    build.box((0.0, _DEPTH), (0.0, height), (0.0, length), _worn, "f")
    _panel(build, (0.0, length), (0.0, 0.55), _plinth, -0.01)
    eaves = -0.35
    if gabled:
        ridge, middle = height + 2.9, _DEPTH / 2
        slope: list[Point] = [
            (eaves, height, -0.2),
            (eaves, height, length + 0.2),
            (middle, ridge, length + 0.2),
            (middle, ridge, -0.2),
        ]
        build.face(slope, _roof, (-0.5, 0.85, 0.0))
        gable: list[Point] = [(0, height, 0.0), (_DEPTH, height, 0.0), (middle, ridge - 0.25, 0.0)]
        build.face(gable, _worn, (0, 0, -1))
    else:
        build.box((eaves, _DEPTH), (height - 0.45, height), (-0.1, length + 0.1), _trim, "lfu")
    _panel(build, (0, length), (height - 0.12, height), _roof, eaves - 0.01)


def _balcony(build: MeshBuilder, z: tuple[float, float], floor: float) -> None:
    span = (z[0] - 0.35, z[1] + 0.35)
    build.box((-1.0, 0.0), (floor - 0.15, floor), span, _trim, "lfub")
    build.box((-1.0, 0.0), (floor, floor + 0.9), span, _roof, "lfb")


def _ground_floor(build: MeshBuilder, bays: int, style: int, dice: Dice, detail: int) -> None:
    shops = style in (0, 2, 3)
    door = dice.integer(bays)
    for bay in range(bays):
        z0, z1 = bay * BAY + 0.25, (bay + 1) * BAY - 0.25
        if bay == door:
            _panel(build, (z0 + 0.5, z1 - 0.5), (0.0, 2.7), _trim, -0.02)
            _panel(build, (z0 + 0.65, z1 - 0.65), (0.0, 2.5), _door, -0.03)
        elif shops:
            _panel(build, (z0, z1), (0.5, 2.75), _shop_glass, -0.02)
            if detail == 0:
                _panel(build, (z1 - 0.65, z1 - 0.57), (0.5, 2.75), _trim, -0.03)
        else:
            if detail < 2:
                _panel(build, (z0 + 0.35, z1 - 0.35), (0.95, 2.85), _trim, -0.01)
            _panel(build, (z0 + 0.5, z1 - 0.5), (1.1, 2.7), _glass, -0.02)
            if detail == 0:
                middle = (z0 + z1) / 2
                _panel(build, (middle - 0.03, middle + 0.03), (1.1, 2.7), _trim, -0.03)
    if shops:
        length = bays * BAY
        _panel(build, (0.2, length - 0.2), (2.85, 3.45), _roof, -0.03)
        for bay in range(bays if detail < 2 else 0):
            if bay != door and dice.chance(0.35):
                z0, z1 = bay * BAY + 0.2, (bay + 1) * BAY - 0.2
                hood: list[Point] = [(0, 2.9, z0), (0, 2.9, z1), (-1.2, 2.35, z1), (-1.2, 2.35, z0)]
                build.face(hood, _roof, (-0.4, 0.9, 0.0))
                front: list[Point] = [
                    (-1.2, 2.35, z0),
                    (-1.2, 2.35, z1),
                    (-1.2, 2.1, z1),
                    (-1.2, 2.1, z0),
                ]
                build.face(front, _trim, _STREET)
                cheek: list[Point] = [(0, 2.9, z0), (-1.2, 2.35, z0), (-1.2, 2.1, z0), (0, 2.5, z0)]
                build.face(cheek, _roof, (0, 0, -1), two_sided=True)


def _end_wall(build: MeshBuilder, storeys: int, window: tuple[float, float], detail: int) -> None:
    for storey in range(storeys if detail < 2 else 0):
        sill = 1.1 if storey == 0 else GROUND + (storey - 1) * STOREY + 0.85
        for x in (2.2, 6.4):
            y = (sill, sill + window[1])
            frame = (x - 0.12, x + window[0] + 0.12)
            build.box(frame, (y[0] - 0.12, y[1] + 0.12), (-0.01, 0.0), _trim, "f")
            build.box((x, x + window[0]), y, (-0.02, 0.0), _glass, "f")


WALL_LENGTH = 10.0


@cache
def wall(style: int, detail: int) -> Mesh:
    """A free-standing wall with a coping; brick courses or concrete panels."""
    build = MeshBuilder()
    height = (1.5, 2.3, 3.0)[style % 3]
    face, worn = Surface("wall", paint=Paint.FIRST), Surface("wall", (0.9, 0.9, 0.9), Paint.FIRST)
    joint = Surface("wall", (0.78, 0.78, 0.78), Paint.FIRST)
    _panel(build, (0, WALL_LENGTH), (0, height), face, 0.0)
    build.box((0, 0.3), (0, height), (0, WALL_LENGTH), worn, "ft")
    if detail < 2 and style % 2 == 0:
        rows = int(height / 0.5)
        for row in range(1, rows + 1):
            _panel(build, (0, WALL_LENGTH), (row * 0.5 - 0.02, row * 0.5 + 0.02), joint, -0.01)
            for column in range(10 if detail == 0 else 0):
                z = column + (0.5 if row % 2 else 0.0)
                _panel(build, (z, z + 0.04), (row * 0.5 - 0.5, row * 0.5), joint, -0.01)
    elif detail < 2:
        for column in range(5):
            z = column * 2.0
            _panel(build, (z, z + 0.08), (0, height), joint, -0.01)
        _panel(build, (0, WALL_LENGTH), (0, 0.35), worn, -0.01)
    coping = Surface("wall", paint=Paint.THIRD)
    build.box((-0.08, 0.38), (height - 0.12, height), (0, WALL_LENGTH), coping, "ltf")
    return build.build()


FENCE_LENGTH = 5.0


@cache
def fence(style: int, detail: int) -> Mesh:
    """Five metres of fence: metal bars, planks, or wire mesh on posts."""
    build = MeshBuilder()
    height = (1.3, 1.8, 1.1, 2.0)[style % 4]
    bar = Surface("fence", paint=Paint.SECOND)
    gap = Surface("fence", (0.62, 0.62, 0.62), paint=Paint.SECOND)
    _panel(build, (0, FENCE_LENGTH), (0.08, height - 0.08), gap, 0.0)
    step = (0.22, 0.5, 0.35, 0.6)[style % 4]
    width = step * (0.35, 0.85, 0.3, 0.1)[style % 4]
    for k in range(int(FENCE_LENGTH / step) if detail == 0 else 0):
        _panel(build, (k * step, k * step + width), (0.05, height - 0.05), bar, -0.01)
    for rail in (0.15, height - 0.1):
        _panel(build, (0, FENCE_LENGTH), (rail, rail + 0.08), bar, -0.02)
    for k in range(3):
        z = k * FENCE_LENGTH / 2
        build.box((-0.06, 0.06), (0, height + 0.1), (z, z + 0.1), bar, "lft")
    return build.build()
