"""Coarse alignment: ways to give source frames the target's look, by name."""

from __future__ import annotations

import torch
from torch import Tensor

from ..settings import StyleSettings
from .fourier import swap_low_frequencies
from .image_stats import match_image_stats


def restyle(
    source: Tensor, target: Tensor, settings: StyleSettings, generator: torch.Generator
) -> Tensor:
    """Restyle a share of the source frames, each after a random target frame.

    Args:
        source: `[N, 3, H, W]`, values 0–1.
        target: `[M, 3, H, W]`, values 0–1.
        generator: the source of randomness, on the CPU.

    Returns:
        `[N, 3, H, W]`, values 0–1.
    """
    if settings.name == "none":
        return source
    chosen = torch.rand(len(source), generator=generator) < settings.share
    partners = torch.randint(len(target), (len(source),), generator=generator)
    target = target[partners.to(target.device)]
    if settings.name == "fourier":
        styled = swap_low_frequencies(source, target, settings.beta)
    else:
        styled = match_image_stats(source, target)
    return torch.where(chosen.to(source.device).view(-1, 1, 1, 1), styled, source)
