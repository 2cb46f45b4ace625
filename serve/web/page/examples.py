"""Street scenes to try a model on without a picture of one's own: generated, by day and at dusk."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cfcontra.datasets.streets import StreetsDataset, drive

_SIZE = (360, 640)
_DRIVE_SIZE = (270, 480)
_DRIVE_FRAMES, _DRIVE_RATE = 60, 15


@dataclass(frozen=True)
class Example:
    """One generated picture."""

    name: str
    style: str
    index: int

    def picture(self) -> NDArray[np.uint8]:
        """RGB uint8 `[H, W, 3]`."""
        return _render(self.style, self.index)


EXAMPLES = (
    Example("Day", "noon", 10),
    Example("Dusk", "dusk", 7),
    Example("Another day", "noon", 3),
    Example("Another dusk", "dusk", 2),
)


@cache
def _render(style: str, index: int) -> NDArray[np.uint8]:
    return StreetsDataset(style, size=_SIZE, split="val", labelled=False)[index].image


def write_drive(path: Path) -> None:
    """Write a few seconds' drive at dusk as a video."""
    from ...video import write_video

    samples = drive("dusk", frames=_DRIVE_FRAMES, size=_DRIVE_SIZE, fps=float(_DRIVE_RATE), seed=4)
    write_video((sample.image for sample in samples), path, Fraction(_DRIVE_RATE))
