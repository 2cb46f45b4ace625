"""Writing MP4 files that browsers play, whole or not at all."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from cfcontra.errors import InputError, system_reason
from cfcontra.files import atomic_path, describe_os_error, prepare_output

from .audio import AudioTrack
from .codec import DEFAULT_CODEC, Encoder, find_encoder
from .color import BT709
from .mp4 import Mp4File
from .reader import VideoFormat
from .remux import remux

_FRAGMENTED = "frag_keyframe+delay_moov+default_base_moof"


class VideoWriter:
    """Encodes frames into an MP4.

    While it is being written the video stands fragmented under a temporary name beside
    `path`: playable even if the machine goes down. `finish` adds the audio, puts the
    index first (fast start) and gives the file its name; `discard` leaves nothing.

    Args:
        path: the finished file.
        form: size, rate, time base and colour of the frames.
        codec: name of the encoder.
        threads: encoding threads, None for the encoder's choice.

    Attributes:
        frames: frames written so far.

    Raises:
        InputError: an unknown encoder, or one that cannot do this.
    """

    def __init__(
        self, path: Path, form: VideoFormat, codec: str = DEFAULT_CODEC, threads: int | None = None
    ) -> None:
        self.path = path
        self.frames = 0
        self._end = Fraction(0)
        self._partial = path.with_name(f".{path.stem}-{secrets.token_hex(4)}.part.mp4")
        encoder = find_encoder(codec)
        with self._refusals():
            self._file = Mp4File(self._partial, _FRAGMENTED)
        try:
            self._stream = self._add_stream(encoder, form, threads)
        except BaseException:
            self.discard()
            raise

    def _add_stream(
        self, encoder: Encoder, form: VideoFormat, threads: int | None
    ) -> av.VideoStream:
        width, height = form.width + form.width % 2, form.height + form.height % 2
        try:
            stream = self._file.container.add_stream(
                encoder.name,
                rate=form.rate,
                options=encoder.options,
                time_base=form.time_base,
                width=width,
                height=height,
                pix_fmt=encoder.pix_fmt,
                bit_rate=encoder.bit_rate(width, height, form.rate),
            )
        except ValueError as error:
            raise InputError(f"--codec {encoder.name}: MP4 cannot hold what it makes.") from error
        assert isinstance(stream, av.VideoStream)
        context = stream.codec_context
        context.sample_aspect_ratio = form.aspect
        context.thread_count = threads or 0
        form.color.tag(context)
        try:
            context.open()
        except (av.FFmpegError, OSError, ValueError) as error:
            raise InputError(
                f"--codec {encoder.name}: the encoder does not start for {width}×{height} frames "
                f"({system_reason(error)}). Choose another."
            ) from error
        return stream

    def write(self, frame: av.VideoFrame) -> None:
        """Encode a frame; timestamps must increase.

        Raises:
            InputError: the disk is full or refuses, or the encoder fails.
        """
        with self._refusals():
            self._file.mux(self._stream.encode(frame))
        self.frames += 1
        assert frame.pts is not None and frame.time_base is not None
        self._end = (frame.pts + frame.duration) * frame.time_base

    def finish(self, audio: AudioTrack | None = None) -> None:
        """Complete the file at `path`.

        Args:
            audio: where to copy sound from, up to the end of the last frame.

        Raises:
            InputError: the disk is full or refuses.
        """
        try:
            with self._refusals():
                self._file.mux(self._stream.encode(None))
                self._file.close()
            with atomic_path(self.path) as whole, self._refusals():
                remux(self._partial, whole, audio, self._end)
        finally:
            self.discard()

    def discard(self) -> None:
        """Stop and remove what was written under the temporary name."""
        try:
            self._file.close()
        except (av.FFmpegError, OSError):
            pass  # a full disk says so again; the file goes anyway
        finally:
            self._partial.unlink(missing_ok=True)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(describe_os_error(error, self.path)) from error
        except av.FFmpegError as error:
            raise InputError(f"{self.path}: encoding failed ({system_reason(error)}).") from error


def write_video(
    frames: Iterator[NDArray[np.uint8]], path: Path, fps: Fraction, overwrite: bool = True
) -> None:
    """Write RGB frames as an H.264 MP4 that browsers play, whole or not at all.

    Args:
        frames: RGB uint8 `[H, W, 3]`, all of one size; at least one.
        path: the file.
        fps: frames per second.
        overwrite: whether an existing file may be replaced.

    Raises:
        InputError: no frames, frames of several sizes, or the file cannot be written.
    """
    prepare_output(path, overwrite)
    writer: VideoWriter | None = None
    size: tuple[int, ...] = ()
    try:
        for number, image in enumerate(frames):
            if writer is None:
                size = image.shape
                form = VideoFormat(size[1], size[0], fps, 1 / fps, BT709, Fraction(1))
                writer = VideoWriter(path, form)
            if image.shape != size:
                raise InputError(f"{path}: frame {number} is {image.shape}, the first was {size}.")
            writer.write(_frame(image, number, fps))
        if writer is None:
            raise InputError(f"{path}: there are no frames to write.")
        writer.finish()
    finally:
        if writer is not None:
            writer.discard()


def _frame(image: NDArray[np.uint8], number: int, fps: Fraction) -> av.VideoFrame:
    odd = [(0, side % 2) for side in image.shape[:2]]
    even = np.pad(image, [*odd, (0, 0)], mode="edge") if any(map(sum, odd)) else image
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24").reformat(
        format="yuv420p", dst_colorspace=BT709.matrix, dst_color_range=BT709.range
    )
    BT709.tag(frame)
    frame.pts, frame.time_base, frame.duration = number, 1 / fps, 1
    return frame
