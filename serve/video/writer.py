"""Writing MP4 files that browsers play, whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from cfcontra.errors import InputError, system_reason
from cfcontra.files import prepare_output, refusals

from .audio import AudioTrack
from .codec import DEFAULT_CODEC, find_encoder
from .color import BT709
from .durable import publish
from .mp4 import Mp4File
from .picture import from_pixels
from .remux import Segment, remux
from .source import VideoFormat

_FRAGMENTED = "frag_keyframe+delay_moov+default_base_moof"


class VideoWriter:
    """Encodes frames into an MP4.

    While it is being written the video stands in segments in the folder `work`, each
    fragmented and so playable even if the machine goes down. `finish` joins them without
    encoding again, adds the audio, puts the index first (fast start) and gives the file
    its name; `discard` leaves the segments to whoever owns the folder.

    Args:
        path: the finished file.
        form: size, rate, time base and colour of the frames.
        work: existing folder for the segments.
        codec: name of the encoder.
        threads: encoding threads, None for the encoder's choice.
        state: what `cut` returned, to write behind the segments of an earlier process.

    Raises:
        InputError: an unknown encoder, or one that cannot do this.
    """

    def __init__(
        self,
        path: Path,
        form: VideoFormat,
        work: Path,
        codec: str = DEFAULT_CODEC,
        threads: int | None = None,
        state: dict[str, Any] | None = None,
    ) -> None:
        self.path = path
        self._form, self._work, self._threads = form, work, threads
        self._encoder = find_encoder(codec)
        self._segments: list[Segment] = []
        self._end = 0
        if state is not None:
            self._end = state["end"]
            self._segments = [Segment(work / name, base) for name, base in state["segments"]]
        self._base: int | None = None
        self._file: Mp4File | None = None
        self._open_segment()

    def _open_segment(self) -> Mp4File:
        path = self._work / f"{self.path.stem}-{len(self._segments):06d}.mp4"
        with self._refusals():
            file = self._file = Mp4File(path, _FRAGMENTED)
        self._open_path, self._base = path, None
        try:
            self._stream = self._add_stream(file)
        except BaseException:
            self.discard()
            raise
        return file

    def _add_stream(self, file: Mp4File) -> av.VideoStream:
        form, encoder = self._form, self._encoder
        width, height = form.width + form.width % 2, form.height + form.height % 2
        try:
            stream = file.container.add_stream(
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
        context.thread_count = self._threads or 0
        if encoder.tag:
            context.codec_tag = encoder.tag
        form.color.tag(context)
        try:
            context.open()
        except (av.FFmpegError, OSError, ValueError) as error:
            raise InputError(
                f"--codec {encoder.name}: the encoder does not start for {width}×{height} frames "
                f"({system_reason(error)}). Choose another."
            ) from error
        return stream

    def write(self, image: av.VideoFrame) -> None:
        """Encode a frame of the format's size, padded to even; timestamps must increase.

        Its timestamp is changed: segments begin at 0.

        Raises:
            InputError: the disk is full or refuses, or the encoder fails.
        """
        file = self._file or self._open_segment()
        assert image.pts is not None
        if self._base is None:
            self._base = image.pts
        self._end = image.pts + image.duration
        image.pts -= self._base
        with self._refusals():
            file.mux(self._stream.encode(image))

    def cut(self) -> dict[str, Any]:
        """Complete the open segment, so that nothing before it can be lost.

        Returns:
            plain data: what `state` takes.

        Raises:
            InputError: the disk is full or refuses.
        """
        if self._file is not None and self._base is not None:
            with self._refusals():
                self._file.mux(self._stream.encode(None))
                self._file.close()
            self._segments.append(Segment(self._open_path, self._base))
            self._file = None
        return {
            "end": self._end,
            "segments": [[segment.path.name, segment.base] for segment in self._segments],
        }

    def finish(self, audio: AudioTrack | None = None) -> None:
        """Complete the file at `path`.

        Args:
            audio: where to copy sound from, up to the end of the last frame.

        Raises:
            InputError: the disk is full or refuses.
        """
        # In the folder that goes in any case, so that a process killed here leaves nothing else.
        whole = self._work / f"{self.path.stem}-whole.mp4"
        try:
            self.cut()
            time_base = self._form.time_base
            with self._refusals():
                remux(self._segments, time_base, whole, audio, self._end * time_base)
                publish(whole, self.path)
        finally:
            whole.unlink(missing_ok=True)
            self.discard()

    def discard(self) -> None:
        """Stop, and let go of the open segment."""
        try:
            if self._file is not None:
                self._file.close()
        except (av.FFmpegError, OSError):
            pass  # a full disk says so again
        finally:
            self._file = None

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            with refusals(self.path):
                yield
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
    reformatter = VideoReformatter()
    work = Path(tempfile.mkdtemp(prefix=f".{path.stem}-", suffix=".part", dir=path.parent))
    try:
        for number, image in enumerate(frames):
            if writer is None:
                size = image.shape
                writer = VideoWriter(path, VideoFormat(size[1], size[0], fps, 1 / fps, BT709), work)
            if image.shape != size:
                raise InputError(f"{path}: frame {number} is {image.shape}, the first was {size}.")
            writer.write(_frame(reformatter, image, number, fps))
        if writer is None:
            raise InputError(f"{path}: there are no frames to write.")
        writer.finish()
    finally:
        if writer is not None:
            writer.discard()
        shutil.rmtree(work, ignore_errors=True)


def _frame(
    reformatter: VideoReformatter, image: NDArray[np.uint8], number: int, fps: Fraction
) -> av.VideoFrame:
    odd = [(0, side % 2) for side in image.shape[:2]]
    even = np.pad(image, [*odd, (0, 0)], mode="edge") if any(map(sum, odd)) else image
    frame = from_pixels(reformatter, np.ascontiguousarray(even), "rgb24")
    frame.pts, frame.time_base, frame.duration = number, 1 / fps, 1
    return frame
