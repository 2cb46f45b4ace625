"""The road at dusk: pools of light under the lamps, and every light mirrored in the wet."""

from __future__ import annotations

import cv2
import numpy as np

from cfcontra.datasets.streets.arrays import Bytes, Floats, as_bytes, as_floats
from cfcontra.datasets.streets.faces import project
from cfcontra.datasets.streets.light import HEAD_LIGHT, LAMP_LIGHT, TAIL_LIGHT, code_table, rgb
from cfcontra.datasets.streets.mesh import CLASS_ID, LABEL_MASK, Material
from cfcontra.datasets.streets.shot import Shot

_UNIT = 32.0  # a gain of 1, in bytes
_CASTERS = 16
_MIRRORED = (
    # material, colour of its reflection, strength
    (Material.LAMP, LAMP_LIGHT, 90.0),
    (Material.HEADLAMP, HEAD_LIGHT, 85.0),
    (Material.TAILLAMP, TAIL_LIGHT, 55.0),
    (Material.SIGNAL, (0.8, 0.6, 0.4), 40.0),
)
_SHARE = {CLASS_ID["road"]: 1.0, CLASS_ID["sidewalk"]: 0.4}
_WETNESS = code_table(lambda code: _SHARE.get(code & LABEL_MASK, 0.0))


class WetRoad:
    """What lamps do to the ground of one shot.

    Args:
        shot: the frame.
        lamps: street lamps in the eye's coordinates `[L, 3]`.
        ambient: linear light that falls everywhere, RGB `[3]`.
        haze: display colour of the air, RGB `[3]`.
        wet: how much the road mirrors, 0–1.
    """

    def __init__(
        self, shot: Shot, lamps: Floats, ambient: Floats, haze: Floats, wet: float
    ) -> None:
        self._shot = shot
        self._lamps = lamps
        self._ambient = ambient
        self._haze = haze
        self._wet = wet

    def light_up(self, picture: Bytes, codes: Bytes) -> None:
        """Light the ground in `picture` `[H, W, 3]`, in place."""
        top = self._shot.first_ground_row
        land = picture[top:]
        gain, mirrored = self._light(*land.shape[:2])
        lit = cv2.multiply(land, gain, scale=1 / _UNIT)
        cv2.copyTo(lit, self._shot.is_ground(codes), land)
        wet = cv2.LUT(codes[top:], _WETNESS)
        shine = cv2.multiply(mirrored, cv2.merge([wet, wet, wet]), scale=self._wet / 255)
        cv2.add(land, shine, land)

    def _light(self, rows: int, width: int) -> tuple[Bytes, Bytes]:
        """Light pools as a gain (`_UNIT` is 1), and reflections to add, both `[rows, W, 3]`."""
        shot = self._shot
        x, ahead = shot.ground_map(*_coarse(rows, width, 8))
        offset = [x - self._lamps[:, 0, None, None], ahead - self._lamps[:, 2, None, None]]
        square = offset[0] ** 2 + offset[1] ** 2 + np.float32(26.0)
        pool = (np.float32(62) / (square * np.sqrt(np.sqrt(square)))).sum(axis=0)
        own = np.exp(-((x / (0.30 * ahead + 1.2)) ** 2)) / (1 + (ahead / 11) ** 2)
        white = own * np.float32(0.22) + self._thrown(Material.HEADLAMP, 5.0, 0.25, x, ahead)
        red = self._thrown(Material.TAILLAMP, 1.8, 0.12, x, ahead)
        added = pool[:, :, None] * rgb(LAMP_LIGHT) * np.float32(0.85)
        added += white[:, :, None] * rgb(HEAD_LIGHT) + red[:, :, None] * rgb(TAIL_LIGHT)
        gain = np.minimum(np.sqrt(1 + added / self._ambient) * _UNIT, 255).astype(np.uint8)
        mirrored = self._streaks(*_coarse(rows, width, 4))
        sheen = np.clip(shot.ground_map(*mirrored.shape[:2])[1] / 70, 0, 1)[:, :, None]
        mirrored += sheen * (self._haze * 255 * np.float32(0.35))
        size = (width, rows)
        bright = np.minimum(mirrored, 255).astype(np.uint8)
        return as_bytes(cv2.resize(gain, size)), as_bytes(cv2.resize(bright, size))

    def _thrown(
        self, material: Material, reach: float, strength: float, x: Floats, ahead: Floats
    ) -> Floats:
        """Light that other vehicles' lamps throw on the road `[rows, columns]`."""
        faces = self._shot.faces
        spots = faces.centers[faces.materials == material][-_CASTERS:, :, None, None]
        along = (ahead - spots[:, 2]) / 2 + np.float32(reach / 4)
        square = (x - spots[:, 0]) ** 2 + along**2
        light: Floats = (np.float32(strength) / (1 + square / np.float32(reach))).sum(axis=0)
        return light

    def _streaks(self, rows: int, columns: int) -> Floats:
        """Lights mirrored in the wet road: streaks toward the eye `[rows, columns, 3]`."""
        shot, faces = self._shot, self._shot.faces
        top, width = shot.first_ground_row, shot.size[1]
        v = (
            top
            + (np.arange(rows, dtype=np.float32) + 0.5) * ((shot.size[0] - top) / rows)
            - shot.horizon
        ) / width
        u = (np.arange(columns, dtype=np.float32) + 0.5) / columns
        across, down = [], []
        for material, color, strength in _MIRRORED:
            centers = faces.centers[faces.materials == material]
            below = centers * rgb((1, -1, 1))
            spots = project(shot.eye, below.T)
            near = 1 / np.maximum(centers[:, 2], 3)[:, None]
            spread = np.float32(0.20) * near + np.float32(0.004)
            long = np.float32(0.9) * near + np.float32(0.02)
            row = np.exp(-(((v[None, :] - spots[1, :, None]) / long) ** 2))
            column = np.exp(-(((u[None, :] - spots[0, :, None]) / spread) ** 2))
            down.append(row * np.minimum(1, np.sqrt(near * 14)) * strength)
            across.append((column[:, :, None] * rgb(color)).reshape(len(centers), columns * 3))
        mirrored = np.concatenate(down).T @ np.concatenate(across)
        return as_floats(mirrored.reshape(rows, columns, 3))


def _coarse(rows: int, columns: int, step: int) -> tuple[int, int]:
    return max(8, rows // step), max(16, columns // step)
