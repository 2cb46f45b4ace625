"""What the user names as a live source, and opening it."""

from __future__ import annotations

from pathlib import Path

from .address import file_stem, is_stream, redacted
from .feed import CameraFeed, Feed, StreamFeed
from .live import LiveSource

STALL = 10.0
"""Seconds without a picture after which a connection is given up and made anew."""
_DEVICES = Path("/dev")


def is_live(source: str) -> bool:
    """Whether a source is a camera (`0`, `/dev/video0`) or a network stream, and no file."""
    return is_stream(source) or _is_camera(source)


def shown_name(source: str) -> str:
    """A live source's name without its credentials."""
    return redacted(source) if is_stream(source) else f"camera {source}"


def stem(source: str) -> str:
    """What its results are called."""
    return file_stem(source) if is_stream(source) else f"camera-{Path(source).name}"


def open_live(
    source: str, threads: int | None = None, hwaccel: str | None = None, stall: float = STALL
) -> LiveSource:
    """Connect to a camera or stream.

    Args:
        source: a camera's number or device file, or a URL.
        threads: decoding threads of a stream, None for one per core.
        hwaccel: FFmpeg's name of the hardware that decodes a stream; None for the CPU.
        stall: seconds without a picture after which the connection counts as lost.

    Raises:
        InputError: nobody there, no picture, or not decoded there.
    """

    def connect() -> Feed:
        if is_stream(source):
            return StreamFeed(source, stall, threads, hwaccel)
        return CameraFeed(int(source) if source.isdecimal() else Path(source))

    return LiveSource(shown_name(source), connect)


def _is_camera(source: str) -> bool:
    if source.isdecimal():
        return not Path(source).exists()
    path = Path(source)
    return path.is_relative_to(_DEVICES) and (path.name.startswith("video") or "v4l" in path.parts)
