"""Strong light and blur on whole batches, for what a student must still recognise."""

from __future__ import annotations

import torch
import torchvision.transforms.v2.functional as transforms
from torch import Tensor

from .augmentation import adjust_light

_KERNEL = 7


def relight(images: Tensor, jitter: float, blur: float, generator: torch.Generator) -> Tensor:
    """Vary each frame's light by itself.

    Args:
        images: `[N, 3, H, W]`, values 0–1.
        jitter: strength of brightness, contrast and saturation, 0–1; 0 leaves them.
        blur: share of frames that are blurred.
        generator: the source of randomness, on the CPU.
    """
    changed = []
    for image in images:
        brightness, contrast, saturation, chance, sigma = torch.rand(
            5, generator=generator
        ).tolist()
        if jitter:
            factors = (_factor(value, jitter) for value in (brightness, contrast, saturation))
            image = adjust_light(image, *factors)
        if chance < blur:
            image = transforms.gaussian_blur(image, [_KERNEL, _KERNEL], [0.15 + sigma])
        changed.append(image)
    return torch.stack(changed)


def _factor(uniform: float, jitter: float) -> float:
    return 1 + jitter * (2 * uniform - 1)
