"""Coarse alignment: ways to give source frames the target's look, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from cfcontra.errors import InputError

from ..settings import StyleSettings
from .fourier import swap_low_frequencies
from .image_stats import match_image_stats

Style = Callable[[Tensor, Tensor], Tensor]
"""Source frames and as many target frames, values 0–1 → restyled source frames."""


def build_style(settings: StyleSettings) -> Style | None:
    """The way of restyling that settings name; None for `none`.

    Raises:
        InputError: `adain` without a readable style file.
    """
    if settings.name == "none":
        return None
    if settings.name == "fourier":
        return partial(swap_low_frequencies, beta=settings.beta)
    if settings.name == "image-stats":
        return match_image_stats
    if not settings.file:
        raise InputError(
            "style 'adain' needs --style.file, the style.pt that `cfcontra-train style` wrote."
        )
    from .style_file import load_style

    network = load_style(Path(settings.file))

    @torch.no_grad()
    def restyled(source: Tensor, target: Tensor) -> Tensor:
        styled: Tensor = network.to(source.device)(source, target, settings.alpha)
        return styled

    return restyled


def restyle(
    source: Tensor,
    target: Tensor,
    style: Style | None,
    share: float,
    generator: torch.Generator,
) -> Tensor:
    """Restyle a share of the source frames, each after a random target frame.

    Args:
        source: `[N, 3, H, W]`, values 0–1.
        target: `[M, 3, H, W]`, values 0–1.
        generator: the source of randomness, on the CPU.

    Returns:
        `[N, 3, H, W]`, values 0–1.
    """
    if style is None:
        return source
    chosen = torch.rand(len(source), generator=generator) < share
    partners = torch.randint(len(target), (len(source),), generator=generator)
    styled = style(source, target[partners.to(target.device)])
    return torch.where(chosen.to(source.device).view(-1, 1, 1, 1), styled, source)
