"""Reading a video file: upright frames with exact timestamps."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from cfcontra.errors import InputError, system_reason

from .color import Color
from .picture import PLANAR, Orientation

_LOG = logging.getLogger(__name__)
_PICTURES = ("image2", "tty", "lrc", "srt", "ass", "webvtt")
_DEFAULT_RATE = Fraction(25)
_COMPLETE = 0.95  # edit lists may hide a few frames of a whole file


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
    aspect: Fraction


class VideoReader:
    """Decodes the first video stream of a file, frame by frame.

    Frames come upright (the file's rotation is applied), as 8-bit planar YUV 4:2:0 in
    the source's own matrix and range, with timestamps in `format.time_base` that
    always increase. Packets that cannot be decoded are skipped and counted.

    Args:
        path: a video file.
        threads: decoding threads, None for one per core.

    Attributes:
        format: size, rate and colour.
        expected: number of frames as far as the file tells, or None.
        damaged: packets skipped so far.
        has_audio: whether there is an audio stream.

    Raises:
        InputError: missing, not a video, or without a single frame.
    """

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self.path = path
        self.damaged = 0
        self._container = _open(path)
        try:
            self._stream = _video_stream(path, self._container)
            self._stream.thread_type = "AUTO"
            self._stream.codec_context.thread_count = threads or 0
            self._frames = self._decode()
            first = next(self._frames, None)
            if first is None:
                raise InputError(f"{path}: not one frame in it can be decoded.")
            self._first = first
            self._describe(first)
        except BaseException:
            self._container.close()
            raise

    def _describe(self, first: av.VideoFrame) -> None:
        stream = self._stream
        rate = stream.average_rate or stream.guessed_rate or _DEFAULT_RATE
        self._orientation = Orientation.of(first, self.path)
        self._size = (first.width, first.height)
        self._color = Color.of(first)
        self._reformatter = VideoReformatter()
        aspect = stream.sample_aspect_ratio or Fraction(1)
        width, height = first.width, first.height
        if self._orientation.transposed:
            width, height, aspect = height, width, 1 / aspect
        time_base = stream.time_base or 1 / rate
        self.format = VideoFormat(width, height, rate, time_base, self._color, aspect)
        self.has_audio = bool(self._container.streams.audio)
        self.expected = stream.frames or None
        if self.expected is None and stream.duration:
            self.expected = max(1, round(stream.duration * time_base * rate))

    def start(self) -> Fraction:
        """When the file begins, in seconds: where its first stream does, 0 at the earliest."""
        starts = [
            stream.start_time * stream.time_base
            for stream in (*self._container.streams.audio, self._stream)
            if stream.start_time is not None and stream.time_base is not None
        ]
        return max(Fraction(0), min(starts, default=Fraction(0)))

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[av.VideoFrame]:
        """Upright frames; `pts` counts from the start of the file."""
        step = max(1, round(1 / (self.format.rate * self.format.time_base)))
        offset = round(self.start() / self.format.time_base)
        last: int | None = None
        frame: av.VideoFrame | None = self._first
        count = 0
        while frame is not None:
            pts = frame.pts - offset if frame.pts is not None else None
            if last is not None and (pts is None or pts <= last):
                pts = last + (step if pts is None else 1)
            upright = self._orientation.apply(self._planar(frame))
            upright.pts = last = pts or 0
            upright.time_base = self.format.time_base
            upright.duration = frame.duration or step
            yield upright
            count += 1
            frame = next(self._frames, None)
        if self.damaged:
            _LOG.warning("%s: %d damaged packets skipped.", self.path, self.damaged)
        if count < _COMPLETE * self._stream.frames:
            _LOG.warning(
                "%s: ends early, with %d of %d frames.", self.path, count, self._stream.frames
            )

    def _planar(self, frame: av.VideoFrame) -> av.VideoFrame:
        width, height = self._size
        if frame.format.name in PLANAR and (frame.width, frame.height) == self._size:
            return frame
        return self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="yuv420p",
            dst_colorspace=self._color.matrix,
            dst_color_range=self._color.range,
        )

    def _decode(self) -> Iterator[av.VideoFrame]:
        try:
            for packet in self._container.demux(self._stream):
                try:
                    yield from packet.decode()
                except av.error.InvalidDataError:
                    self.damaged += 1
        except av.error.InvalidDataError:
            self.damaged += 1
        except (av.FFmpegError, OSError) as error:
            raise InputError(f"{self.path}: reading it failed ({system_reason(error)}).") from error


class RgbConverter:
    """Turns frames into the RGB arrays that a backend takes; one per thread."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """RGB uint8 `[H, W, 3]`."""
        converted = self._reformatter.reformat(frame, format="rgb24", threads=1)
        return np.asarray(converted.to_ndarray(), dtype=np.uint8)


def _open(path: Path) -> av.container.InputContainer:
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name video files, e.g. '{path}/*.mp4'.")
    if not path.is_file():
        raise InputError(f"{path}: no such file.")
    try:
        container = av.open(f"file:{path}")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable video ({system_reason(error)}).") from error
    name = container.format.name
    if name in _PICTURES or name.endswith("_pipe"):
        container.close()
        raise InputError(f"{path}: not a video (found: {container.format.long_name}).")
    return container


def _video_stream(path: Path, container: av.container.InputContainer) -> av.VideoStream:
    for stream in container.streams.video:
        if av.stream.Disposition.attached_pic in av.stream.Disposition(stream.disposition):
            continue
        if stream.codec_context is None:
            raise InputError(f"{path}: its video codec cannot be decoded here.")
        return stream
    raise InputError(f"{path}: has no video stream.")
