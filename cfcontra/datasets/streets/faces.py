"""Faces as the eye sees them: all objects gathered, transformed, culled and projected."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin

import numpy as np
from numpy.typing import NDArray

from cfcontra.datasets.streets.arrays import Bytes, Floats, as_bytes, as_floats
from cfcontra.datasets.streets.ground import ground
from cfcontra.datasets.streets.mesh import LABEL_MASK, MATERIAL_SHIFT, Material, Mesh, Paint
from cfcontra.datasets.streets.occlusion import hidden
from cfcontra.datasets.streets.thing import Thing
from cfcontra.datasets.streets.world import Eye, World

NEAR = 0.4
_MIDDLE, _FAR = 18.0, 42.0  # where coarser meshes begin, in metres
_OFF_PICTURE = 40.0
_WIDTH = 5.0  # metres to the left and right that an object may reach from where it stands
_HAIR, _SPECK = 2e-4, 5e-6  # image widths, and their square: too small to see at any size
_IS_VEHICLE_LAMP = np.isin(np.arange(256) >> MATERIAL_SHIFT, (Material.HEADLAMP, Material.TAILLAMP))


@dataclass(frozen=True)
class Faces:
    """Visible faces in painting order, in the eye's coordinates (x right, y up, z ahead).

    Attributes:
        outline: image positions `[N, 8, 2]`: columns in image widths and rows in image
            *widths* below the top edge of a picture whose horizon is at row 0.
        corners: how many of the eight count `[N]`.
        centers: `[N, 3]` metres; y above the road.
        normals: `[N, 3]`.
        albedo: RGB 0–1 `[N, 3]`.
        codes: train id + 32 × material `[N]`.
        chances: a number in `[0, 1)` for each face that stays with it from frame to frame `[N]`.
    """

    outline: Floats
    corners: Bytes
    centers: Floats
    normals: Floats
    albedo: Floats
    codes: Bytes
    chances: Floats

    @property
    def materials(self) -> Bytes:
        return as_bytes(self.codes >> MATERIAL_SHIFT)

    @property
    def labels(self) -> Bytes:
        return as_bytes(self.codes & LABEL_MASK)


def to_eye(world: World, eye: Eye, points: Floats) -> Floats:
    """Road positions (x, y, metres ahead of the eye) `[3, ...]` in the eye's coordinates."""
    x, y, ahead = points
    x = x + world.layout.bend(ahead, eye.s) - np.float32(eye.x)
    turn_cos, turn_sin = np.float32(cos(eye.yaw)), np.float32(sin(eye.yaw))
    return np.stack([x * turn_cos - ahead * turn_sin, y, x * turn_sin + ahead * turn_cos])


def project(eye: Eye, points: Floats) -> Floats:
    """Image positions (column, row; see `Faces.outline`) `[2, ...]` of points `[3, ...]`.

    Points nearer than `NEAR` are moved there, straight along the view.
    """
    scale = np.float32(eye.focal) / np.maximum(points[2], np.float32(NEAR))
    return np.stack(
        [np.float32(0.5) + points[0] * scale, (np.float32(eye.height) - points[1]) * scale]
    )


def visible_faces(world: World, eye: Eye, things: list[Thing]) -> Faces:
    """The faces of the ground and of `things` (farthest first) that the eye can see."""
    mesh, land = _gather(world, eye, things)
    points = to_eye(world, eye, mesh.vertices)
    centers = (points[:, 0] + points[:, 1] + points[:, 2] + points[:, 3]) * np.float32(0.25)
    slope = world.layout.slope(centers[2], eye.s) - np.float32(eye.yaw)
    normal_x = mesh.normals[:, 0] + slope * mesh.normals[:, 2]  # sheared along with the road
    normal_z = mesh.normals[:, 2] - slope * mesh.normals[:, 0]
    rise = mesh.normals[:, 1] * (centers[1] - np.float32(eye.height))
    keep = mesh.two_sided | (normal_x * centers[0] + rise + normal_z * centers[2] < 0)
    outline = project(eye, points)
    low, high = outline.min(axis=1), outline.max(axis=1)
    extent = (high - low) + np.float32(_HAIR)
    keep &= (extent[0] * extent[1] > _SPECK) & (points[2].max(axis=0) > NEAR)
    keep &= (high[0] > 0) & (low[0] < 1) & (low[1] < 1) & (high[1] > -1)
    # A card has no side faces to bridge the cut at NEAR: drop it whole.
    keep[land:] &= ~mesh.two_sided[land:] | (points[2, :, land:].min(axis=0) > NEAR)
    chosen = np.flatnonzero(keep)
    chosen = chosen[~hidden(outline[:, :, chosen], low[:, chosen], high[:, chosen])]
    return Faces(
        np.clip(outline[:, :, chosen], -_OFF_PICTURE, _OFF_PICTURE).transpose(2, 1, 0),
        mesh.corners[chosen],
        centers[:, chosen].T,
        np.stack([normal_x[chosen], mesh.normals[chosen, 1], normal_z[chosen]], axis=1),
        mesh.albedo[chosen],
        mesh.codes[chosen],
        _chances(mesh.spots[chosen]),
    )


def _gather(world: World, eye: Eye, things: list[Thing]) -> tuple[Mesh, int]:
    """The ground and all objects as one mesh ahead of the eye, and how much of it is ground."""
    land = ground(world.layout, world.blocks(eye), world.first_block(eye), eye.s)
    meshes = [land]
    rows: list[tuple[float, ...]] = [(0, 0, 0, 1, 1, 1, 1, *[1] * 9)]
    seen = _in_view(world, eye, things)
    for thing, z in seen:
        nearest = z - thing.near
        turn = -1.0 if thing.turned else 1.0
        sx, sy, sz = thing.scale
        first, second, third = thing.paint
        meshes.append(thing.mesh(0 if nearest < _MIDDLE else 1 if nearest < _FAR else 2))
        rows.append((thing.x, thing.y, z, sx * turn, sy, sz * turn, thing.lights,
                     *first, *second, *third))  # fmt: skip
    counts = [len(mesh.codes) for mesh in meshes]
    table = np.array(rows, dtype=np.float32)
    owner = np.repeat(np.arange(len(meshes)), counts)
    place, scale = table[:, 0:3].T[:, None, owner], table[:, 3:6].T[:, None, owner]
    tints = np.concatenate([np.ones((len(table), 3), dtype=np.float32), table[:, 7:]], axis=1)
    slots = np.concatenate([mesh.paint for mesh in meshes])
    codes = np.concatenate([mesh.codes for mesh in meshes])
    seeds = np.array([0, *(thing.seed for thing, _ in seen)], dtype=np.int64)
    codes[(table[owner, 6] == 0) & _IS_VEHICLE_LAMP[codes]] &= LABEL_MASK
    everything = Mesh(
        np.concatenate([mesh.vertices for mesh in meshes], axis=2) * scale + place,
        np.concatenate([mesh.corners for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]) * np.sign(table[:, 3:6])[owner],
        np.concatenate([mesh.albedo for mesh in meshes])
        * tints.reshape(-1, len(Paint), 3)[owner, slots],
        slots,
        codes,
        np.concatenate([mesh.spots for mesh in meshes]) + seeds[owner] * 15485863,
        np.concatenate([mesh.two_sided for mesh in meshes]),
    )
    return everything, counts[0]


def _in_view(world: World, eye: Eye, things: list[Thing]) -> list[tuple[Thing, float]]:
    """Those of `things` that may reach into the picture, and how far ahead each stands."""
    ahead = [thing.s - eye.s for thing in things]
    ends = np.array(
        [z + max(thing.near, thing.far) for thing, z in zip(things, ahead, strict=True)],
        dtype=np.float32,
    )
    x = np.array([thing.x for thing in things], dtype=np.float32)
    x += world.layout.bend(ends, eye.s) - np.float32(eye.x) - np.float32(eye.yaw) * ends
    seen = (ends > NEAR) & (np.abs(x) < np.float32(0.5 / eye.focal) * ends + _WIDTH)
    return [(things[k], ahead[k]) for k in np.flatnonzero(seen).tolist()]


def _chances(spots: NDArray[np.int64]) -> Floats:
    """Evenly spread numbers in `[0, 1)`, hashed from `spots` `[N]`."""
    mixed = (spots * 2654435761) & 0xFFFFFFFF
    mixed = ((mixed ^ (mixed >> 15)) * 2246822519) & 0xFFFFFFFF
    return as_floats(((mixed ^ (mixed >> 13)) & 0xFFFF) / 65536.0)
