"""The styles a street can be seen in, and the one way to render it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from cfcontra.datasets.streets.arrays import Bytes, as_bytes
from cfcontra.datasets.streets.canvas import paint
from cfcontra.datasets.streets.dice import Dice
from cfcontra.datasets.streets.dusk import Dusk
from cfcontra.datasets.streets.faces import visible_faces
from cfcontra.datasets.streets.mesh import LABEL_MASK
from cfcontra.datasets.streets.noon import Noon
from cfcontra.datasets.streets.shot import Shot
from cfcontra.datasets.streets.world import World


class Style(Protocol):
    """Light and optics of one shot."""

    def sky(self) -> Bytes: ...

    def land(self) -> Bytes: ...

    def shade(self) -> Bytes: ...

    def develop(self, picture: Bytes, codes: Bytes) -> Bytes: ...


_STYLES: dict[str, Callable[[Shot], Style]] = {"noon": Noon, "dusk": Dusk}
STYLES = tuple(_STYLES)


def render(
    style: str, world: World, key: tuple[int, ...], frame: int, time: float, size: tuple[int, int]
) -> tuple[Bytes, Bytes]:
    """One frame of `world` and its label map.

    Args:
        style: one of `STYLES`.
        world: the street.
        key: the world's key, from which its weather follows.
        frame: number of the frame, from which its noise follows.
        time: seconds since the start of the drive.
        size: height and width.

    Returns:
        The image `[H, W, 3]` RGB and train ids `[H, W]`.
    """
    eye = world.eye(time)
    things = world.things(eye, time)
    faces = visible_faces(world, eye, things)
    shot = Shot(world, eye, things, faces, time, size, Dice(*key, 4), Dice(*key, 5, frame))
    look = _STYLES[style](shot)
    picture, codes = paint(faces, look.shade(), look.sky(), look.land(), eye.horizon, size)
    return look.develop(picture, codes), as_bytes(codes & LABEL_MASK)
