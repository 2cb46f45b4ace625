"""One connection to something live: a network stream or a camera, as long as it lasts."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from cfcontra.continuity import Continuity
from cfcontra.errors import CfcontraError
from cfcontra.opencv import cv2

from .address import redacted
from .audio import AudioTrack, known_sounds, start_of
from .open_file import find_accelerator, reason_of
from .picture import from_pixels
from .source import DEFAULT_RATE

_OPENING = 15.0  # seconds for the first picture of a stream
_ANALYSED = "1000000"  # microseconds of a stream looked at before it starts
_SEGMENTED = ("hls", "dash")  # FFmpeg's names
_RATES = (Fraction(1), Fraction(240))


class LostError(CfcontraError):
    """A connection has ended; another attempt may do."""


class Feed(Protocol):
    """A connection that gives frames.

    Attributes:
        recorded: whether it has an end and waits for its reader, as a file on a server does.
        in_segments: whether what is live comes in files of some seconds each (HLS), so that many
            pictures are there at a time, long before their own.
        audio: the sound of a recording, where there is some to copy.
        muted: whether there is sound that is not kept, as what is live comes but once.
        rate: frames per second as far as it says, else 25.
        aspect: width of a pixel over its height.
        damaged: packets that could not be decoded.
        seconds: length, where it has one.
    """

    recorded: bool
    in_segments: bool
    audio: AudioTrack | None
    muted: bool
    rate: Fraction
    aspect: Fraction
    damaged: int
    seconds: Fraction | None

    def __iter__(self) -> Iterator[av.VideoFrame]:
        """Decoded frames; ends where a recording does.

        Raises:
            LostError: the connection broke or nothing came for too long.
        """

    def close(self) -> None:
        """Hang up. Called by the thread that iterates."""


class StreamFeed:
    """RTSP, HTTP(S) and what else FFmpeg reads over a network.

    Args:
        address: the URL, credentials included. They are in no message.
        stall: seconds without a picture after which the connection counts as lost.
        threads: decoding threads, None for one per core.
        hwaccel: FFmpeg's name of the hardware that decodes, None for the CPU.

    Raises:
        LostError: nobody there, refused, not a video, or not decoded there.
    """

    def __init__(
        self, address: str, stall: float, threads: int | None = None, hwaccel: str | None = None
    ) -> None:
        self._shown, self._stall, self._hwaccel = redacted(address), stall, hwaccel
        self._container = self._open(address, {"fflags": "nobuffer"})
        length = self._container.duration
        self.seconds = Fraction(length, av.time_base) if length and length > 0 else None
        self.recorded = self.seconds is not None
        if self.recorded:  # from its first frame on, not from where looking at it has ended
            self._container.close()
            self._container = self._open(address, {})
        try:
            self._stream = self._choose()
        except BaseException:
            self._container.close()
            raise
        # Threads for frames would each hold a picture back.
        self._stream.thread_type = "AUTO" if self.recorded else "SLICE"
        self._stream.codec_context.thread_count = threads or 0
        self.damaged = 0
        self.rate = _plausible(self._stream.average_rate or self._stream.guessed_rate)
        self.aspect = self._stream.sample_aspect_ratio or Fraction(1)
        self.in_segments = not self.recorded and self._container.format.name in _SEGMENTED
        sounds = bool(self._container.streams.audio)
        self.muted = sounds and not self.recorded
        self.audio: AudioTrack | None = None
        if sounds and self.recorded:
            start = start_of(self._container, self._stream)
            pictures = self._stream.index
            self.audio = AudioTrack(self._shown, address, start, pictures, (_OPENING, stall))

    def _open(self, address: str, options: dict[str, str]) -> av.container.InputContainer:
        options = {**options, "analyzeduration": _ANALYSED}
        if address.lower().startswith("rtsp"):
            options |= {"rtsp_flags": "prefer_tcp", "allowed_media_types": "video"}
        accelerator = None if self._hwaccel is None else find_accelerator(self._hwaccel)
        timeout = (_OPENING, self._stall)
        try:
            return av.open(address, options=options, timeout=timeout, hwaccel=accelerator)
        except (av.FFmpegError, OSError, ValueError, RuntimeError) as error:
            asked = "" if accelerator is None else f" (opened with --hwaccel {self._hwaccel})"
            # Not `from error`: its text holds the address with the password.
            raise LostError(f"{self._shown}: {reason_of(error)}{asked}.") from None

    def _choose(self) -> av.VideoStream:
        for stream in self._container.streams.video:
            if stream.codec_context is not None:
                return stream
        raise LostError(f"{self._shown}: has no video that can be decoded here.")

    def __iter__(self) -> Iterator[av.VideoFrame]:
        last = time.monotonic()
        sounds = known_sounds(self._container) if self.recorded else ()
        move = Continuity()
        try:
            for packet in self._container.demux(self._stream, *sounds):
                if self.recorded:
                    move(packet)
                if packet.stream.index != self._stream.index:
                    continue
                try:
                    for frame in self._stream.decode(packet):
                        yield frame
                        last = time.monotonic()  # without the time that the reader has taken
                except av.error.InvalidDataError:
                    self.damaged += 1
                if time.monotonic() - last > self._stall:
                    raise LostError(f"no picture for {self._stall:.0f} s")
        except (av.FFmpegError, OSError) as error:
            raise LostError(reason_of(error)) from None
        if not self.recorded:
            raise LostError("the server ended the stream")

    def close(self) -> None:
        self._container.close()


class CameraFeed:
    """A camera of this machine, through OpenCV.

    Args:
        camera: its number, or its device file.

    Raises:
        LostError: it is not there, busy, or not allowed.
    """

    def __init__(self, camera: int | Path) -> None:
        self.recorded, self.in_segments, self.muted, self.damaged = False, False, False, 0
        self.audio: AudioTrack | None = None
        self.aspect = Fraction(1)
        self.seconds: Fraction | None = None
        place = Path(f"/dev/video{camera}") if isinstance(camera, int) else camera
        if sys.platform == "linux" and not place.exists():
            raise LostError(f"{camera}: there is no camera {place}.{_present()}")
        interface = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
        opened = camera if isinstance(camera, int) else str(camera)
        self._device = cv2.VideoCapture(opened, interface)
        if not self._device.isOpened():
            raise LostError(
                f"{camera}: the camera cannot be opened. Is another program using it, and may you "
                f"(on Linux, are you in the group 'video')?"
            )
        self._device.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self.rate = _plausible(Fraction(self._device.get(cv2.CAP_PROP_FPS)).limit_denominator(1001))

    def __iter__(self) -> Iterator[av.VideoFrame]:
        reformatter = VideoReformatter()
        while True:
            there, picture = self._device.read()
            if not there or picture is None:
                raise LostError("the camera gives no picture")
            yield from_pixels(reformatter, np.asarray(picture, dtype=np.uint8), "bgr24")

    def close(self) -> None:
        self._device.release()


def _plausible(rate: Fraction | None) -> Fraction:
    """Some servers say 0 or 90000 frames per second."""
    return rate if rate and _RATES[0] <= rate <= _RATES[1] else DEFAULT_RATE


def _present() -> str:
    found = sorted(str(path) for path in Path("/dev").glob("video[0-9]*"))
    return f" There is {', '.join(found)}." if found else " None is connected."
