"""Noon: a high sun, hard shadows, clear air, a crisp picture."""

from __future__ import annotations

from math import cos, radians, sin, tan

import cv2
import numpy as np

from cfcontra.datasets.streets.arrays import Bytes, Floats, as_bytes
from cfcontra.datasets.streets.light import clouds, display, fade, rgb
from cfcontra.datasets.streets.mesh import Material, Rgb
from cfcontra.datasets.streets.noise import add_grain
from cfcontra.datasets.streets.shot import Shot

_EMITTED: dict[Material, Rgb] = {
    Material.SIGNAL: (0.75, 0.75, 0.75),
    Material.TAILLAMP: (0.10, 0.02, 0.02),
}


_UNIT = 160.0  # a gain of 1, in bytes


class Noon:
    """Light and optics of one shot at noon."""

    def __init__(self, shot: Shot) -> None:
        self._shot = shot
        dice = shot.weather
        azimuth, elevation = radians(dice.between(0, 360)), radians(dice.between(42, 64))
        self._sun = rgb(
            (sin(azimuth) * cos(elevation), sin(elevation), cos(azimuth) * cos(elevation))
        )
        reach = 1 / tan(elevation)
        self._shadow = (-sin(azimuth) * reach, -cos(azimuth) * reach)
        self._cover = dice.between(0.0, 0.7)
        self._haze = rgb((0.74, 0.80, 0.87))
        self._clear = dice.between(420, 900)
        self._warmth = dice.between(-0.03, 0.04)
        self._exposure = dice.between(0.92, 1.08)

    def sky(self) -> Bytes:
        """RGB of the sky `[h, w, 3]`."""
        shot = self._shot
        aspect = shot.horizon / shot.size[1]
        density, elevation, _ = clouds(shot.eye.focal, aspect, shot.eye.s * 0.02, shot.weather)
        high = np.clip(elevation * 1.7, 0, 1)[:, :, None] ** np.float32(0.7)
        clear = self._haze * (1 - high) + rgb((0.30, 0.52, 0.86)) * high
        edge = 1.0 - self._cover
        cloud = np.clip((density - edge) * 3.5, 0, 1)[:, :, None] * np.float32(0.92)
        thick = np.clip((density - edge) * 1.4, 0, 1)[:, :, None]
        white = rgb((0.97, 0.97, 0.97)) - thick * rgb((0.20, 0.18, 0.14))
        color = (clear + (white - clear) * cloud) * 255
        return as_bytes(np.clip(color, 0, 255).astype(np.uint8))

    def land(self) -> Bytes:
        """RGB `[3]` of the land at the horizon."""
        return (self._haze * 0.8 * 255).astype(np.uint8)

    def shade(self) -> Bytes:
        """RGB of each face `[N, 3]`."""
        faces = self._shot.faces
        up = faces.normals[:, 1:2]
        sun = np.maximum(faces.normals @ self._sun, 0)[:, None]
        sky = rgb((0.33, 0.38, 0.46)) * (0.62 + 0.38 * up)
        bounce = rgb((0.16, 0.145, 0.12)) * (0.5 - 0.5 * up)
        light = sun * rgb((0.98, 0.93, 0.83)) + sky + bounce
        light *= np.float32(self._exposure) * rgb((1 + self._warmth, 1.0, 1 - self._warmth))
        linear = faces.albedo**2 * light
        self._reflect(linear)
        for material, glow in _EMITTED.items():
            lit = faces.materials == material
            linear[lit] += faces.albedo[lit] ** 2 * rgb(glow)
        return fade(display(linear), faces.centers[:, 2], self._haze, self._clear)

    def _reflect(self, linear: Floats) -> None:
        """Glass shows the sky: more at a grazing look, more in some panes than in others."""
        faces = self._shot.faces
        glass = np.isin(faces.materials, (Material.WINDOW, Material.AUTO_GLASS, Material.SHOP))
        if not glass.any():
            return
        normals, centers = faces.normals[glass], faces.centers[glass]
        look = centers / (np.linalg.norm(centers, axis=1, keepdims=True) + 1e-6)
        grazing = 1 - np.abs((normals * look).sum(axis=1))
        share = 0.06 + 0.30 * grazing**2 + 0.22 * faces.chances[glass] ** 3
        linear[glass] += share[:, None] * rgb((0.42, 0.52, 0.66))

    def develop(self, picture: Bytes, codes: Bytes) -> Bytes:
        """The final image `[H, W, 3]`."""
        shot = self._shot
        dark = 1 - np.float32(0.50) * shot.shadows(self._shadow)
        ground = dark * (1 + np.float32(0.055) * shot.texture())
        gain = shot.bark_and_plaster(codes)
        cv2.copyTo(ground, shot.is_ground(codes), gain[shot.first_ground_row :])
        scale = cv2.convertScaleAbs(gain, alpha=_UNIT)
        lit = as_bytes(cv2.multiply(picture, cv2.merge([scale, scale, scale]), scale=1 / _UNIT))
        return as_bytes(cv2.LUT(add_grain(lit, 2.2, shot.flicker), _CURVE))


def _contrast_curve() -> Bytes:
    x = np.arange(256, dtype=np.float32) / 255
    return ((x - 0.05 * np.sin(2 * np.pi * x)) * 255 + 0.5).astype(np.uint8)[:, None]


_CURVE = _contrast_curve()
