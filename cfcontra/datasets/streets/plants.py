"""Trees, bushes and hedges, made of leaf clumps that catch light one by one."""

from __future__ import annotations

from functools import cache
from math import cos, pi, sin

from cfcontra.datasets.streets.dice import Dice
from cfcontra.datasets.streets.mesh import Mesh, MeshBuilder, Paint, Surface

TREES = 9
HEDGE_LENGTH = 5.0
_CLUMPS = (76, 22, 8)


def _clumps(
    build: MeshBuilder,
    dice: Dice,
    center: tuple[float, float],
    radii: tuple[float, float],
    count: int,
    size: float,
    cone: bool = False,
) -> None:
    """Leaf clumps over a crown, the deep dark ones first, the outer sunlit ones last."""
    leaf = [
        Surface("vegetation", (t * 0.96, t, t * 0.9), Paint.FIRST) for t in (0.68, 0.85, 1.0, 1.14)
    ]
    for k in range(count):
        depth = k / count
        angle, reach = dice.between(0, 2 * pi), dice.unit() ** 0.5
        reach *= 1.0 - 0.45 * depth
        dx, dy = reach * cos(angle), reach * sin(angle)
        taper = 1.0 - 0.75 * (dy + 1) / 2 if cone else 1.0
        x, y = center[0] + radii[0] * dx * taper, center[1] + radii[1] * dy
        clump = size * dice.between(0.7, 1.25) * (0.55 if cone and dy > 0.3 else 1.0)
        normal = (dx * 1.4 + dice.between(-0.5, 0.5), dy + 0.35 + dice.between(-0.4, 0.4), -0.7)
        tone = leaf[min(3, int(depth * 2.2 + dice.unit() * 1.9))]
        turn = dice.between(0, pi / 4)
        flat = dice.between(0.6, 0.95)
        leafy = [
            (x + clump * cos(turn + a) * r, y + clump * flat * sin(turn + a) * r)
            for a, r in ((j * pi / 3, dice.between(0.86, 1.12)) for j in range(6))
        ]
        build.card(leafy, tone, normal, 0.3 - 0.6 * depth)


@cache
def tree(kind: int, detail: int) -> Mesh:
    """A tree of about 8 m; kinds 0–5 broad-leaved, 6–7 columnar, 8 conifer."""
    dice = Dice(kind, 17)
    build = MeshBuilder()
    bark = Surface("vegetation", (0.30, 0.24, 0.19))
    bark_shade = Surface("vegetation", (0.22, 0.18, 0.15))
    count = _CLUMPS[detail]
    grow = (0.95, 1.6, 2.5)[detail]
    broad, cone = kind < 6, kind == 8
    stem = dice.between(2.2, 3.0) if broad else 1.0
    build.card(
        [(-0.20, 0.0), (0.02, 0.0), (0.02, stem + 1.2), (-0.11, stem + 1.2)],
        bark,
        (-0.7, 0.1, -0.7),
    )
    build.card(
        [(0.0, 0.0), (0.20, 0.0), (0.11, stem + 1.2), (0.0, stem + 1.2)],
        bark_shade,
        (0.7, 0.1, -0.7),
    )
    if broad:
        for sign in (-1, 1):
            tip = sign * dice.between(0.8, 1.3)
            if detail < 2:
                branch = [(-0.05, stem), (0.06, stem), (tip + 0.05, stem + 1.5), (tip, stem + 1.5)]
                build.card(branch, bark)
        middle, rx, ry = stem + 2.6, dice.between(2.0, 2.7), dice.between(2.0, 2.6)
        core = Surface("vegetation", (0.55, 0.58, 0.52), Paint.FIRST)
        for dx, dy in ((-0.45, -0.1), (0.45, -0.15), (0.0, 0.35)):
            offset = (rx * dx, middle + ry * dy, 0.4)
            build.blob(offset, (rx * 0.62, ry * 0.62), core, (dx, dy, -0.6), dice.unit())
        _clumps(build, dice, (0.0, middle), (rx, ry), count, 0.55 * grow)
    else:
        top = dice.between(7.0, 9.0)
        middle, rx, ry = (stem + top) / 2, 1.7 if cone else 0.95, (top - stem) / 2
        core = Surface("vegetation", (0.5, 0.54, 0.5), Paint.FIRST)
        if cone:
            build.card([(-1.1, stem), (1.1, stem), (0.1, top - 0.4), (-0.1, top - 0.4)], core)
        else:
            build.blob((0.0, middle, 0.4), (rx, ry), core)
        _clumps(build, dice, (0.0, middle), (rx, ry), count, 0.42 * grow, cone)
    return build.build()


@cache
def bush(kind: int, detail: int) -> Mesh:
    """A bush of about 1.6 m."""
    dice = Dice(kind, 23)
    build = MeshBuilder()
    core = Surface("vegetation", (0.6, 0.62, 0.58), Paint.FIRST)
    build.blob((0.0, 0.62, 0.2), (1.1, 0.75), core)
    _clumps(build, dice, (0.0, 0.75), (1.2, 0.8), (20, 8, 3)[detail], 0.34 * (1, 1.5, 2.2)[detail])
    return build.build()


@cache
def hedge(kind: int, detail: int) -> Mesh:
    """Five metres of clipped hedge; its street side is x = 0, like a wall's."""
    dice = Dice(kind, 29)
    build = MeshBuilder()
    height = (1.2, 1.7, 2.1)[kind % 3]
    body = Surface("vegetation", (0.8, 0.82, 0.78), Paint.FIRST)
    build.box((0.0, 1.2), (0.0, height), (0.0, HEDGE_LENGTH), body, "flt")
    for _ in range((30, 12, 4)[detail]):
        tone = dice.between(0.7, 1.15)
        leaf = Surface("vegetation", (tone * 0.96, tone, tone * 0.9), Paint.FIRST)
        z, y, r = (
            dice.between(0, HEDGE_LENGTH),
            dice.between(0.1, height + 0.05),
            dice.between(0.12, 0.3),
        )
        points = [(-0.03, y + r * 0.8 * sin(k * pi / 3), z + r * cos(k * pi / 3)) for k in range(6)]
        build.face(points, leaf, (-1.0, dice.between(-0.3, 0.6), dice.between(-0.6, 0.4)))
    return build.build()
