"""Predictions averaged over scales, mirroring and windows (test-time augmentation)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cfcontra.errors import InputError
from cfcontra.runtime.base import Backend, Prediction
from cfcontra.sliding_window import windows

_SMALLEST, _LARGEST = 0.1, 8.0


@dataclass(frozen=True)
class Averaging:
    """Which predictions are averaged.

    Attributes:
        scales: factors on the working size.
        flip: also the mirrored frame.
        window: `(height, width)` of windows, in pixels of the frame; None for the whole frame.
        overlap: share of a window that the next one covers again.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    window: tuple[int, int] | None = None
    overlap: float = 1 / 3

    def __post_init__(self) -> None:
        wrong = [scale for scale in self.scales if not _SMALLEST <= scale <= _LARGEST]
        if wrong or not self.scales:
            raise InputError(f"Scales {self.scales}: give factors from {_SMALLEST} to {_LARGEST}.")
        windows((1, 1), self.window or (1, 1), self.overlap)

    @property
    def changes_nothing(self) -> bool:
        return self.scales == (1.0,) and not self.flip and self.window is None

    def describe(self) -> str:
        """The options in words, for tables and records."""
        parts = []
        if self.scales != (1.0,):
            parts.append("scales " + ", ".join(f"{scale:g}" for scale in self.scales))
        if self.flip:
            parts.append("mirrored too")
        if self.window is not None:
            parts.append(f"windows {self.window[0]}x{self.window[1]}, overlap {self.overlap:.2f}")
        return "; ".join(parts)


class AveragedBackend(Backend):
    """Averages a backend's class probabilities; argmax and confidence follow the mean.

    Args:
        backend: one that gives probabilities.
        averaging: over what.

    Raises:
        InputError: a file whose masks are smaller than the frames.
    """

    def __init__(self, backend: Backend, averaging: Averaging) -> None:
        if backend.metadata.interface.mask_stride != 1:
            raise InputError(
                "This file gives masks smaller than the frames, which are not averaged. Use the "
                "model.pt that it was exported from."
            )
        self._backend, self._averaging = backend, averaging
        self.metadata, self.device = backend.metadata, backend.device
        self.runtime = f"{backend.runtime} ({averaging.describe()})"

    def describe(self) -> dict[str, Any]:
        """What the averaged backend says of itself, too."""
        return {**self._backend.describe(), **super().describe()}

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        mean = self.probabilities(frames)
        top = mean.max(axis=1)
        return Prediction(
            mean.argmax(axis=1).astype(np.uint8), np.rint(top * 255).clip(0, 255).astype(np.uint8)
        )

    def probabilities(self, frames: NDArray[np.uint8], scale: float = 1.0) -> NDArray[np.float32]:
        count, height, width = frames.shape[:3]
        classes = self.metadata.label_space.num_classes
        total = np.zeros((count, classes, height, width), dtype=np.float32)
        covered = np.zeros((height, width), dtype=np.float32)
        window = self._averaging.window or (height, width)
        for rows, columns in windows((height, width), window, self._averaging.overlap):
            for part in self._views(np.ascontiguousarray(frames[:, rows, columns]), scale):
                total[:, :, rows, columns] += part
                covered[rows, columns] += 1
        total /= covered
        return total

    def _views(self, frames: NDArray[np.uint8], scale: float) -> Iterator[NDArray[np.float32]]:
        for factor in self._averaging.scales:
            yield self._backend.probabilities(frames, scale * factor)
            if self._averaging.flip:
                mirrored = np.ascontiguousarray(frames[:, :, ::-1])
                yield self._backend.probabilities(mirrored, scale * factor)[..., ::-1]
