"""Opening what a task names as a source."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from cfcontra.command import read_size
from cfcontra.errors import InputError

from .connect import open_live
from .find import STANDARD_INPUT, Found
from .picture_folder import PictureFolder
from .pipe import Pipe
from .raw import RawReader
from .reader import VideoReader
from .source import DEFAULT_RATE, Source
from .stated import stated_frames

_RATE = re.compile(r"\d{1,9}(/\d{1,9})?|\d{0,9}\.\d{1,9}")
_SLOWEST, _FASTEST = Fraction(1, 1000), 1000  # frames per second


@dataclass(frozen=True)
class SourceOptions:
    """How sources are read that do not say it themselves.

    Attributes:
        raw_size: `(width, height)` of raw frames on standard input; None for a container there.
        pixels: layout of raw frames, one of `raw.PIXELS`.
        rate: frames per second of raw frames and of folders of pictures.
        threads: decoding threads, None for one per core.
        hwaccel: hardware that decodes, None for the CPU.
    """

    raw_size: tuple[int, int] | None = None
    pixels: str = "rgb24"
    rate: Fraction = DEFAULT_RATE
    threads: int | None = None
    hwaccel: str | None = None


def open_source(found: Found, options: SourceOptions) -> Source:
    """Open a source.

    Raises:
        InputError: it cannot be read.
    """
    if found.live:
        return open_live(found.live, options.threads, options.hwaccel)
    if found.pictures:
        return PictureFolder(found.source, found.pictures, options.rate)
    if found.source != Path(STANDARD_INPUT):
        return VideoReader(found.source, options.threads, options.hwaccel)
    pipe = Pipe(sys.stdin.fileno())
    with pipe.opening():
        if options.raw_size is not None:
            return RawReader(pipe, options.raw_size, options.rate, options.pixels)
        return VideoReader(pipe, options.threads, options.hwaccel)


def expected_frames(found: Found) -> int | None:
    """How many frames a source says it has, without decoding any; None if it does not."""
    if found.pictures:
        return len(found.pictures)
    if found.live or not found.source.is_file():
        return None
    try:
        with av.open(f"file:{found.source}") as container:
            stream = container.streams.video[0]
            return stated_frames(container, stream, stream.average_rate)
    except (av.FFmpegError, OSError, ValueError, IndexError):
        return None  # opening it will say why


def parse_size(text: str, option: str) -> tuple[int, int]:
    """Read `WIDTHxHEIGHT`.

    Raises:
        InputError: another form, or not positive.
    """
    size = read_size(text)
    if size is not None and min(size) > 0:
        return size
    raise InputError(f"{option} {text}: give width and height in pixels, such as 960x540.")


def parse_rate(text: str) -> Fraction:
    """Read frames per second: `25`, `29.97` or `30000/1001`.

    Raises:
        InputError: another form, or out of reach.
    """
    try:
        rate = Fraction(text) if _RATE.fullmatch(text) else Fraction(0)
    except ZeroDivisionError:
        rate = Fraction(0)
    if not _SLOWEST <= rate <= _FASTEST:
        raise InputError(
            f"--rate {text}: give frames per second, such as 25 or 30000/1001, from "
            f"{float(_SLOWEST)} to {_FASTEST}."
        )
    return rate.limit_denominator(100_000)
