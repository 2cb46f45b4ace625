"""How a frame becomes a network input, and where its pixels lie in it.

One definition for training, evaluation and the exported graph: the frame is
scaled to fit the working size with its aspect kept (bilinear, half-pixel centres,
no antialias), normalised per channel, and padded with zeros at the bottom and the
right, which is the mean colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

from cfcontra.errors import InputError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
SMALLEST_SIDE, LARGEST_SIDE = 32, 8192
"""Of a working size that a user asks for, in pixels."""


@dataclass(frozen=True)
class Preprocessing:
    """What a model expects of its input.

    Attributes:
        work_size: `(height, width)` the network sees, in pixels.
        mean: per-channel RGB mean, in units of 0–1.
        std: per-channel RGB standard deviation, in units of 0–1.
    """

    work_size: tuple[int, int]
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if min(self.work_size) < 1:
            raise InputError(f"Working size {self.work_size}: height and width must be positive.")
        if not all(map(isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise InputError(
                f"Normalisation mean {self.mean}, std {self.std}: every value must be finite, and "
                "every std positive."
            )

    def scaled_size(self, height: int, width: int) -> tuple[int, int]:
        """Size `(h, w)` of the frame inside the working size, at least 1×1.

        Computed in integers, rounded half up, so that every runtime agrees.
        """
        work_height, work_width = self.work_size
        if height * work_width <= width * work_height:  # the width is what limits
            return max(1, (2 * height * work_width + width) // (2 * width)), work_width
        return work_height, max(1, (2 * width * work_height + height) // (2 * height))

    def to_dict(self) -> dict[str, Any]:
        return {
            "work_size": list(self.work_size),
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_dict(cls, data: Any, where: str) -> Preprocessing:
        """Read what `to_dict` wrote.

        Raises:
            InputError: a field is missing or malformed.
        """
        try:
            height, width = data["work_size"]
            red, green, blue = (float(value) for value in data["mean"])
            mean = (red, green, blue)
            red, green, blue = (float(value) for value in data["std"])
        except (LookupError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{where}: malformed preprocessing ({error!r}).") from error
        if any(type(side) is not int or not 1 <= side <= LARGEST_SIDE for side in (height, width)):
            raise InputError(
                f"{where}: malformed preprocessing (work_size must be two whole numbers from 1 to "
                f"{LARGEST_SIDE})."
            )
        return cls((height, width), mean, (red, green, blue))
