"""What an exported file takes and gives, besides the usual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cfcontra.errors import InputError

ALWAYS = ("mask", "confidence")
OUTPUTS = (*ALWAYS, "frame_scores", "probabilities")
MASK_STRIDES = (1, 2, 4, 8)
_BYTES = "uint8 [N, H, W, 3], RGB"
_NORMALISED = "float32 [N, 3, H, W], RGB, (value / 255 - mean) / std with preprocessing's"
_LARGEST_SIDE, _LARGEST_BATCH = 32768, 1024


@dataclass(frozen=True)
class Interface:
    """The ends of an exported file.

    Attributes:
        outputs: which of `OUTPUTS` it gives.
        size: `(height, width)` of the frames it takes; None takes any.
        batch: how many frames it takes at once; None takes any number.
        mask_stride: pixels of the frame per pixel of what it gives, each way.
        embed_normalisation: whether it takes frames as they are, uint8 `[N, H, W, 3]`; else
            normalised ones, float32 `[N, 3, H, W]`, see `frames`.

    Raises:
        InputError: values that do not work.
    """

    outputs: tuple[str, ...] = ALWAYS
    size: tuple[int, int] | None = None
    batch: int | None = None
    mask_stride: int = 1
    embed_normalisation: bool = True

    def __post_init__(self) -> None:
        unknown = [name for name in self.outputs if name not in OUTPUTS]
        if unknown:
            raise InputError(f"Unknown output '{unknown[0]}'. Known: {', '.join(OUTPUTS)}.")
        missing = [name for name in ALWAYS if name not in self.outputs]
        if missing:
            raise InputError(f"A model file always gives '{missing[0]}'; name it as well.")
        object.__setattr__(self, "outputs", tuple(n for n in OUTPUTS if n in self.outputs))
        if self.size is not None and not 1 <= min(self.size) <= max(self.size) <= _LARGEST_SIDE:
            raise InputError(
                f"Size {self.size[0]}x{self.size[1]}: height and width must be 1 to "
                f"{_LARGEST_SIDE}."
            )
        if self.batch is not None and not 1 <= self.batch <= _LARGEST_BATCH:
            raise InputError(f"Batch {self.batch}: give 1 to {_LARGEST_BATCH} frames.")
        if self.mask_stride not in MASK_STRIDES:
            raise InputError(
                f"Mask stride {self.mask_stride}: use one of {', '.join(map(str, MASK_STRIDES))}."
            )

    @property
    def frames(self) -> str:
        """What the file's input `frames` holds, in words for those who feed it."""
        return _BYTES if self.embed_normalisation else _NORMALISED

    def mask_size(self, height: int, width: int) -> tuple[int, int]:
        """Size of the mask of a frame, rounded up."""
        return -(-height // self.mask_stride), -(-width // self.mask_stride)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, JSON-serialisable."""
        return {
            "outputs": list(self.outputs),
            "size": None if self.size is None else list(self.size),
            "batch": self.batch,
            "mask_stride": self.mask_stride,
            "embed_normalisation": self.embed_normalisation,
            "frames": self.frames,
        }

    @classmethod
    def from_dict(cls, data: Any, where: str) -> Interface:
        """Read what `to_dict` wrote.

        Raises:
            InputError: malformed.
        """
        try:
            size, batch = data.get("size"), data.get("batch")
            height, width = size or (0, 0)
            return cls(
                tuple(str(name) for name in data["outputs"]),
                (int(height), int(width)) if size else None,
                None if batch is None else int(batch),
                int(data.get("mask_stride", 1)),
                bool(data.get("embed_normalisation", True)),
            )
        except InputError as error:
            raise InputError(f"{where}: malformed interface ({error}).") from error
        except (AttributeError, LookupError, TypeError, ArithmeticError, ValueError) as error:
            raise InputError(f"{where}: malformed interface ({error!r}).") from error
