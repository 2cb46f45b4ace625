"""Where frames come from: the one interface of files, folders, pipes and cameras."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av

from cfcontra.errors import InputError

from .audio import AudioTrack
from .color import Color

DEFAULT_RATE = Fraction(25)
"""Of what does not say its own."""


@dataclass(frozen=True)
class VideoFormat:
    """What a writer must know to show frames as the source does.

    Attributes:
        width: upright, in pixels.
        height: upright, in pixels.
        rate: frames per second; the average where it varies.
        time_base: unit of the timestamps in seconds.
        color: matrix, range and tags of the samples.
        aspect: width of a pixel over its height.
    """

    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    color: Color
    aspect: Fraction = Fraction(1)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a source.

    Attributes:
        index: its number in the source, from 0; of a live source the number since it was opened.
        image: upright 8-bit planar YUV 4:2:0 (`yuv420p` or `yuvj420p`) of the source's
            format; `pts` counts from the source's start in `format.time_base` and increases.
        origin: what finds the frame in its source again, None where nothing does.
        name: of the picture it was read from, without suffix where one has that name; empty
            for video.
        captured: `time.perf_counter()` when it was there.
    """

    index: int
    image: av.VideoFrame
    origin: int | None = None
    name: str = ""
    captured: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Time since the source's start."""
        assert self.image.pts is not None and self.image.time_base is not None
        return float(self.image.pts * self.image.time_base)


@dataclass(frozen=True)
class Mark:
    """A place in a source, behind some of its frames.

    Attributes:
        frames: frames before it.
        pts: timestamp of the last of them, as given out.
        origin: the same as the source stores it.
        damaged: packets skipped so far.
    """

    frames: int
    pts: int
    origin: int | None
    damaged: int = 0


class Source(ABC):
    """Gives frames in order, once.

    Iterating may block and is done by one thread alone; `interrupt` may come from
    another thread; `close` comes when nobody iterates any more.

    Attributes:
        name: for titles and messages; holds no credentials.
        format: size, rate, time base and colour of every frame.
        expected: number of frames as far as it is known.
        live: whether frames come whether or not somebody takes them. Of a live source only
            the newest frame is taken, and what was passed over is counted.
        resumable: whether `skip_to` works, as another process can read it again.
        damaged: packets or pictures that could not be read and were skipped, so far.
    """

    name: str
    format: VideoFormat
    expected: int | None = None
    live: bool = False
    resumable: bool = False
    damaged: int = 0

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """The frames, from the start or from where `skip_to` has gone.

        Raises:
            InputError: reading fails in the middle.
        """

    def skip_to(self, mark: Mark) -> None:
        """Let the next iteration go on behind `mark`, as if all before had been read.

        Raises:
            InputError: this source cannot be read again, or has changed.
        """
        raise InputError(f"{self.name}: cannot be read again from the middle; leave --resume out.")

    def sound(self, folder: Path) -> AudioTrack | None:
        """The sound that belongs to it, None where there is none to copy.

        Args:
            folder: for the sound of what is read once. It is kept from now on, so this is called
                before the frames are asked for.

        Raises:
            InputError: the disk is full or refuses.
        """
        return None

    def interrupt(self) -> None:
        """Let a blocked iteration end soon. Files need not: they never block for long."""
        return

    @abstractmethod
    def close(self) -> None:
        """Give back files and devices."""

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
