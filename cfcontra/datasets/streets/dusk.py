"""Dusk: dim blue light, lit windows and lamps, a wet road, a slow and noisy camera."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from cfcontra.datasets.streets.arrays import Bytes, Floats, as_bytes, as_floats
from cfcontra.datasets.streets.light import HEAD_LIGHT, LAMP_LIGHT, clouds, display, fade, rgb
from cfcontra.datasets.streets.mesh import CLASS_ID, Material
from cfcontra.datasets.streets.night_camera import bloom, expose
from cfcontra.datasets.streets.shot import GROUND, Shot
from cfcontra.datasets.streets.wet_road import WetRoad

_LIT = 100.0  # metres ahead up to which a lamp's light on things is worth its while

_STANDS = np.ones(len(CLASS_ID), dtype=np.bool_)
_STANDS[[CLASS_ID[label] for label in GROUND]] = False


class Dusk:
    """Light and optics of one shot at dusk."""

    def __init__(self, shot: Shot) -> None:
        self._shot = shot
        dice = shot.weather
        self._depth = dice.between(0.0, 1.0)  # from early to late
        self._glow_at = dice.between(-0.7, 0.7)
        self._glow = (1 - 0.6 * self._depth) * dice.between(0.5, 1.0)
        self._ambient = rgb((0.100, 0.122, 0.185)) * (1.15 - 0.45 * self._depth)
        self._haze = rgb((0.26, 0.27, 0.34)) * (1 - 0.25 * self._depth)
        self._far = dice.between(200, 380)
        self._lit = dice.between(0.25, 0.6)
        self._wet = dice.between(0.35, 1.0)
        self._defocus = dice.between(0.45, 1.0)
        self._smear = dice.between(0.0, 1.0)
        self._lamps = self._lamp_positions()

    def _lamp_positions(self) -> Floats:
        """Street lamps in the eye's coordinates `[L, 3]`."""
        shot = self._shot
        found = [
            (thing.x + thing.lamp[0], thing.lamp[1], thing.s - shot.eye.s)
            for thing in shot.things
            if thing.lamp is not None and thing.s - shot.eye.s < _LIT
        ]
        points = np.array(found, dtype=np.float32).reshape(-1, 3)
        offset = shot.world.layout.bend(points[:, 2], shot.eye.s) - np.float32(shot.eye.x)
        points[:, 0] += offset - np.float32(shot.eye.yaw) * points[:, 2]
        return points

    def sky(self) -> Bytes:
        """RGB of the sky `[h, w, 3]`."""
        shot = self._shot
        aspect = shot.horizon / shot.size[1]
        density, elevation, azimuth = clouds(
            shot.eye.focal, aspect, shot.eye.s * 0.02, shot.weather
        )
        high = np.clip(elevation * 2.2, 0, 1)[:, :, None]
        clear = rgb((0.27, 0.30, 0.40)) * (1 - high) + rgb((0.10, 0.13, 0.24)) * high
        clear = clear * np.float32(0.98 - 0.33 * self._depth)
        toward = np.exp(-((azimuth - np.float32(self._glow_at)) ** 2) * 2.5)
        low = np.exp(-elevation * np.float32(7.5))
        glow = (toward * low)[:, :, None] * np.float32(self._glow)
        cloud = np.clip((density - 0.45) * 2.6, 0, 1)[:, :, None]
        lit_below = glow * rgb((0.34, 0.13, 0.10))
        color = clear + glow * rgb((0.55, 0.27, 0.06))
        color = color * (1 - cloud * 0.35) + cloud * (lit_below + rgb((0.02, 0.02, 0.03)))
        return as_bytes(np.clip(color * 255, 0, 255).astype(np.uint8))

    def land(self) -> Bytes:
        """RGB `[3]` of the land at the horizon."""
        return (self._haze * 0.7 * 255).astype(np.uint8)

    def shade(self) -> Bytes:
        """RGB of each face `[N, 3]`."""
        faces = self._shot.faces
        normals, centers = faces.normals, faces.centers
        light = self._ambient * (0.62 + 0.38 * normals[:, 1:2])
        toward_glow = rgb((self._glow_at, 0.15, 1.0)) / np.float32((self._glow_at**2 + 1.02) ** 0.5)
        facing = np.maximum(normals @ toward_glow, 0)[:, None]
        light = light + facing * np.float32(0.10 * self._glow) * rgb((1.0, 0.58, 0.38))
        light += self._lamp_light(normals, centers) + self._own_headlights(normals, centers)
        linear = faces.albedo**2 * light
        self._glass_and_lights(linear)
        return fade(display(linear), centers[:, 2], self._haze, self._far)

    def _lamp_light(self, normals: Floats, centers: Floats) -> Floats:
        x, y, z = (self._lamps[:, k, None] - centers[:, k] for k in range(3))  # [L, N]
        square = x * x + y * y + z * z + np.float32(2.0)
        facing = (normals[:, 0] * x + normals[:, 1] * y + normals[:, 2] * z) / np.sqrt(square)
        received = (np.maximum(facing * 0.75 + 0.25, 0.06) / (square + 16)).sum(axis=0) * 26.0
        return as_floats((received * self._standing())[:, None] * rgb(LAMP_LIGHT) * 1.1)

    def _standing(self) -> NDArray[np.bool_]:
        """All faces but the ground's, which is lit pixel by pixel in `WetRoad`."""
        return _STANDS[self._shot.faces.labels]

    def _own_headlights(self, normals: Floats, centers: Floats) -> Floats:
        ahead = np.maximum(centers[:, 2], 1)
        beam = np.exp(-((centers[:, 0] / (0.30 * ahead + 1.2)) ** 2))
        beam *= np.exp(-np.maximum(centers[:, 1] - 0.4, 0) * 0.9) / (1 + (ahead / 13) ** 2)
        beam *= np.maximum(-normals[:, 2], 0.05) * self._standing()
        return (beam * np.float32(0.55))[:, None] * rgb(HEAD_LIGHT)

    def _glass_and_lights(self, linear: Floats) -> None:
        faces = self._shot.faces
        materials, chances = faces.materials, faces.chances
        sheen = rgb((0.020, 0.026, 0.045))
        for material, share in ((Material.WINDOW, self._lit), (Material.SHOP, 0.85)):
            panes = np.flatnonzero(materials == material)
            on = panes[chances[panes] < share]
            linear[panes] += sheen
            warm = (chances[on] * 7.3 % 1.0)[:, None]
            color = rgb((1.0, 0.66, 0.30)) * (1 - warm) + rgb((0.95, 0.90, 0.74)) * warm
            strength = 0.30 + 0.55 * (chances[on] * 31.7 % 1.0)[:, None]
            linear[on] = color * strength
        linear[materials == Material.AUTO_GLASS] += sheen
        inside = (materials == Material.AUTO_GLASS) & np.isin(
            faces.labels, (CLASS_ID["bus"], CLASS_ID["train"])
        )
        linear[inside] += rgb((0.30, 0.28, 0.20))
        linear[materials == Material.LAMP] = rgb((1.0, 0.86, 0.62))
        linear[materials == Material.HEADLAMP] = rgb((1.0, 0.98, 0.90))
        linear[materials == Material.TAILLAMP] = rgb((0.80, 0.035, 0.025))
        signal = materials == Material.SIGNAL
        linear[signal] = faces.albedo[signal] ** 2

    def develop(self, picture: Bytes, codes: Bytes) -> Bytes:
        """The final image `[H, W, 3]`."""
        shot = self._shot
        glare = bloom(picture, codes)
        road = WetRoad(shot, self._lamps, self._ambient, self._haze, self._wet)
        road.light_up(picture, codes)
        return expose(as_bytes(cv2.add(picture, glare)), shot, self._defocus, self._smear)
