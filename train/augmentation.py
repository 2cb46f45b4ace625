"""Random geometry and light, as a pure function of the generator that is handed in."""

from __future__ import annotations

import numpy as np
import torch
import torchvision.transforms.v2.functional as transforms
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms import InterpolationMode

from cfcontra.label_space import IGNORE_INDEX
from cfcontra.preprocessing import Preprocessing

from .settings import DataSettings, LightSettings


def augment(
    image: NDArray[np.uint8],
    label: NDArray[np.uint8],
    settings: DataSettings,
    light: LightSettings,
    preprocessing: Preprocessing,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Fit a frame into the working size, zoom, crop, mirror and relight it.

    Args:
        image: RGB `[H, W, 3]`.
        label: ids `[H, W]`; padding becomes `IGNORE_INDEX`.
        rng: the only source of randomness.

    Returns:
        Image uint8 `[3, h, w]` and label uint8 `[h, w]` at the working size.
    """
    height, width = preprocessing.scaled_size(*image.shape[:2])
    zoom = rng.uniform(*settings.scale)
    size = [max(1, round(height * zoom)), max(1, round(width * zoom))]
    pixels = torch.from_numpy(image).permute(2, 0, 1)
    ids = torch.from_numpy(label)[None]
    pixels = transforms.resize(pixels, size, InterpolationMode.BILINEAR, antialias=False)
    ids = transforms.resize(ids, size, InterpolationMode.NEAREST_EXACT)
    pixels, ids = _crop(pixels, ids, preprocessing, rng)
    if settings.flip and rng.random() < 0.5:
        pixels, ids = pixels.flip(-1), ids.flip(-1)
    return _relight(pixels, light, rng).contiguous(), ids[0].contiguous()


def _crop(
    pixels: Tensor, ids: Tensor, preprocessing: Preprocessing, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    height, width = preprocessing.work_size
    spare_rows, spare_columns = pixels.shape[1] - height, pixels.shape[2] - width
    top = int(rng.integers(max(spare_rows, 0) + 1))
    left = int(rng.integers(max(spare_columns, 0) + 1))
    pixels = pixels[:, top : top + height, left : left + width]
    ids = ids[:, top : top + height, left : left + width]
    if spare_rows >= 0 and spare_columns >= 0:
        return pixels, ids
    mean = torch.tensor(preprocessing.mean).mul(255).round().to(torch.uint8)
    padded = mean.view(3, 1, 1).repeat(1, height, width)
    padded[:, : pixels.shape[1], : pixels.shape[2]] = pixels
    padded_ids = torch.full((1, height, width), IGNORE_INDEX, dtype=torch.uint8)
    padded_ids[:, : ids.shape[1], : ids.shape[2]] = ids
    return padded, padded_ids


def adjust_light(pixels: Tensor, brightness: float, contrast: float, saturation: float) -> Tensor:
    """Scale brightness, contrast and saturation of `[3, H, W]`, in that order; 1 keeps each."""
    pixels = transforms.adjust_brightness(pixels, brightness)
    pixels = transforms.adjust_contrast(pixels, contrast)
    adjusted: Tensor = transforms.adjust_saturation(pixels, saturation)
    return adjusted


def _relight(pixels: Tensor, light: LightSettings, rng: np.random.Generator) -> Tensor:
    if light.jitter:
        low, high = 1 - light.jitter, 1 + light.jitter
        pixels = adjust_light(pixels, *(rng.uniform(low, high) for _ in range(3)))
    if light.gamma:
        reach = np.log1p(light.gamma)
        pixels = transforms.adjust_gamma(pixels, float(np.exp(rng.uniform(-reach, reach))))
    if light.blur and rng.random() < light.blur:
        pixels = transforms.gaussian_blur(pixels, [5, 5], [rng.uniform(0.3, 1.5)])
    return pixels
