"""Masked image consistency (MIC, Hoyer et al. 2023)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..losses.segmentation import pixel_cross_entropy
from ..settings import MaskingSettings
from ..strong_light import relight
from .base import Step, Term


class Masking(Term):
    """The student must label target frames with patches hidden as the teacher labels them whole.

    Weighted by the share of pixels that the teacher is sure of (eq. 6–8).
    """

    needs_teacher = True

    def __init__(self, settings: MaskingSettings) -> None:
        super().__init__()
        self._settings = settings

    def losses(self, step: Step) -> dict[str, Tensor]:
        batch, settings = step.batch, self._settings
        assert batch.target_images is not None
        images = relight(batch.target_images, settings.jitter, settings.blur, batch.generator)
        masked = images * patch_mask(images, settings.patch, settings.share, batch.generator)
        losses = pixel_cross_entropy(step.student(masked).logits, step.pseudo_labels.classes)
        return {"masking": settings.weight * (losses * step.pseudo_weights).mean()}


def patch_mask(images: Tensor, patch: int, share: float, generator: torch.Generator) -> Tensor:
    """0 in a random `share` of the square patches, 1 elsewhere; `[N, 1, H, W]`."""
    height, width = images.shape[-2:]
    rows, columns = -(-height // patch), -(-width // patch)
    kept = torch.rand(len(images), 1, rows, columns, generator=generator) >= share
    grid = F.interpolate(kept.float(), scale_factor=patch, mode="nearest")
    return grid[..., :height, :width].to(images.device)
