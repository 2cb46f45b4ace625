"""Where results go: the one interface of videos, masks, text and windows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cfcontra.runtime import Backend

from .source import Frame, Source


@dataclass(frozen=True, slots=True)
class Segmented:
    """One frame and what the model says about it. Shared by all sinks: never written to.

    Attributes:
        frame: the frame itself.
        mask: train ids uint8 `[H, W]`.
        confidence: probability of the most likely class as uint8 `[H, W]`, 255 is 1.
        scores: float32 `[3]`, see `cfcontra.runtime.FRAME_SCORES`; None where the model file does
            not give them.
        carried: whether mask, confidence and scores are those of an earlier frame.
    """

    frame: Frame
    mask: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    scores: NDArray[np.float32] | None = None
    carried: bool = False


@dataclass(frozen=True)
class Context:
    """What a sink is told before the first frame.

    Attributes:
        source: where the frames come from; its format is that of every frame.
        backend: the model: its classes, and what runs it.
        every: every how many frames the model is asked.
        work: existing folder for unfinished files, removed when all is done; None where a
            sink must not need one.
        state: what `checkpoint` returned when an earlier process was stopped, to go on from
            there with the same `work`; None for a new start.
        threads: threads of an encoder, None for its own choice.
    """

    source: Source
    backend: Backend
    every: int = 1
    work: Path | None = None
    state: dict[str, Any] | None = None
    threads: int | None = None


class Sink(ABC):
    """Takes results in order.

    `open`, then `write` for each frame, then `finish` or, if anything failed anywhere,
    `discard`. All but `open`, `interrupt` and the last `discard` are called by one thread, which is
    the sink's own, so that a slow sink slows the others down only when its queue is full.

    Attributes:
        name: tells the sinks of one job apart.
        output: the file or folder it writes, None if nothing lasting.
        folder: whether `output` is a folder.
    """

    name: str
    output: Path | None = None
    folder: bool = False

    @abstractmethod
    def open(self, context: Context) -> None:
        """Get ready for frames.

        Raises:
            InputError: this cannot be written, here or like this.
        """

    @abstractmethod
    def write(self, result: Segmented) -> None:
        """Take the next frame.

        Raises:
            InputError: the disk is full or refuses, or an encoder fails.
        """

    def checkpoint(self) -> dict[str, Any]:
        """Let all that was written survive the end of the process; what to go on from.

        Returns:
            plain data, given as `Context.state` to a later `open`.
        """
        return {}

    def interrupt(self) -> None:
        """Let a blocked `write` or `finish` end soon: called when the job ends early, by another
        thread. Files need not: they never block for long.
        """
        return

    @abstractmethod
    def finish(self) -> None:
        """Complete what was written, under its own name. At least one frame came before.

        Raises:
            InputError: the disk is full or refuses.
        """

    @abstractmethod
    def discard(self) -> None:
        """Let go of files and windows, and of what is not finished. Does nothing the second time,
        and nothing after `finish`.
        """
