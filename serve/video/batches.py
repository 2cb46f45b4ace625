"""Frames on their way to the model: turned into RGB, several at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .shape import RgbConverter
from .source import Frame, VideoFormat

_CARRIED = 4  # frames in a batch that the model is not asked about, per frame that it is


@dataclass
class Batch:
    """Frames that travel together.

    Attributes:
        frames: in order.
        asked: for each frame whether the model is asked about it.
        images: RGB uint8 `[N, H, W, 3]` of those it is asked about.
    """

    frames: list[Frame]
    asked: list[bool]
    images: NDArray[np.uint8]


class Batcher:
    """Collects batches in buffers that are used again.

    Args:
        form: of the frames.
        size: frames in one inference.
        every: the model is asked about every how manieth frame, and about the first.
        begun: whether the first has been asked about by an earlier process.
        live: whether each frame goes on at once.
        pinned: whether the buffers lie in memory that a CUDA device copies from by itself.
    """

    def __init__(
        self,
        form: VideoFormat,
        size: int,
        every: int = 1,
        live: bool = False,
        pinned: bool = False,
        begun: bool = False,
    ) -> None:
        self._pinned, self._begun = pinned, begun
        self._shape = (size, form.height, form.width, 3)
        self._every, self._live = every, live
        self._free: list[NDArray[np.uint8]] = []
        self._lock = threading.Lock()

    def __call__(self, frames: Iterable[Frame]) -> Iterator[Batch]:
        """Batches of the frames, the last as small as it turns out."""
        to_rgb = RgbConverter()
        size = self._shape[0]
        buffer, batch, asked = self._buffer(), list[Frame](), list[bool]()
        count = 0
        for seen, frame in enumerate(frames):
            batch.append(frame)
            number = seen if self._live else frame.index
            asked.append((seen == 0 and not self._begun) or number % self._every == 0)
            if asked[-1]:
                to_rgb(frame.image, buffer[count])
                count += 1
            if count == size or self._live or len(batch) >= (1 + _CARRIED) * size:
                yield Batch(batch, asked, buffer[:count])
                buffer, batch, asked = self._buffer(), [], []
                count = 0
        if batch:
            yield Batch(batch, asked, buffer[:count])

    def give_back(self, batch: Batch) -> None:
        """Let the batch's images be overwritten. Any thread may call this."""
        base = batch.images.base
        if isinstance(base, np.ndarray) and base.shape == self._shape:
            with self._lock:
                self._free.append(base)

    def _buffer(self) -> NDArray[np.uint8]:
        with self._lock:
            if self._free:
                return self._free.pop()
        return _pinned(self._shape) if self._pinned else np.empty(self._shape, np.uint8)


def _pinned(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    import torch

    return np.asarray(torch.empty(shape, dtype=torch.uint8, pin_memory=True).numpy())
