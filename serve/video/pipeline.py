"""From a video to its overlay: decoding, inference and encoding at the same time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from cfcontra.errors import InputError
from cfcontra.files import prepare_output
from cfcontra.runtime import Backend

from .audio import AudioTrack
from .channel import Cancelled, Channel, Worker
from .codec import DEFAULT_CODEC
from .overlay import YuvOverlay
from .reader import RgbConverter, VideoReader
from .writer import VideoWriter

_LOG = logging.getLogger(__name__)
_WAITING = 2  # batches between two stages
_GPU_BATCH = 8

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class VideoReport:
    """What was done to one video.

    Attributes:
        output: the file written.
        frames: frames in it.
        seconds: wall time it took.
        size: `(width, height)` of the frames as shown.
        rate: frames per second of the video.
        damaged: packets of the source that could not be decoded.
    """

    output: Path
    frames: int
    seconds: float
    size: tuple[int, int]
    rate: Fraction
    damaged: int

    @property
    def fps(self) -> float:
        """Frames done per second of wall time."""
        return self.frames / self.seconds


@dataclass(frozen=True)
class _Batch:
    frames: list[av.VideoFrame]
    images: NDArray[np.uint8]


@dataclass(frozen=True)
class _Predicted:
    frames: list[av.VideoFrame]
    masks: NDArray[np.uint8]


def segment_video(
    source: Path,
    output: Path,
    backend: Backend,
    *,
    opacity: float = 0.5,
    batch: int | None = None,
    codec: str = DEFAULT_CODEC,
    threads: int | None = None,
    progress: Progress | None = None,
    overwrite: bool = False,
) -> VideoReport:
    """Write `source` with the model's classes coloured over it.

    Frame count, timestamps and audio are kept; rotation is applied. Interrupted by
    Ctrl-C, the frames done so far are finished into a playable file before
    `KeyboardInterrupt` goes on; on any error nothing is left at `output`.

    Args:
        source: video file.
        output: MP4 to write.
        backend: the model.
        opacity: share of the class colour, 0–1.
        batch: frames per inference, None for 1 on a CPU and 8 on a GPU.
        codec: name of the video encoder.
        threads: threads of decoder and encoder each, None for their own choice.
        progress: called with frames done and frames expected (None if unknown).
        overwrite: whether an existing output may be replaced.

    Raises:
        InputError: the source cannot be read or the output cannot be written.
    """
    check_settings(opacity, batch)
    if output.exists() and source.exists() and output.samefile(source):
        raise InputError(f"{output}: is the source itself; choose another --output.")
    if output.suffix.lower() != ".mp4":
        raise InputError(f"{output}: the output is MP4; let its name end in .mp4.")
    started = time.perf_counter()
    size = batch or (_GPU_BATCH if backend.device.startswith("cuda") else 1)
    with VideoReader(source, threads) as reader:
        prepare_output(output, overwrite)
        form = reader.format
        if form.width % 2 or form.height % 2:
            _LOG.info("%s: %d×%d is padded to even.", source, form.width, form.height)
        overlay = YuvOverlay(backend.metadata.label_space, opacity, form.color)
        audio = AudioTrack(source, reader.start()) if reader.has_audio else None
        writer = VideoWriter(output, form, codec, threads)
        try:
            _run(reader, backend, overlay, writer, audio, size, progress)
        finally:
            writer.discard()
        seconds = time.perf_counter() - started
        shown = (form.width, form.height)
        return VideoReport(output, writer.frames, seconds, shown, form.rate, reader.damaged)


def check_settings(opacity: float, batch: int | None) -> None:
    """Refuse values out of range.

    Raises:
        InputError: opacity outside 0–1 or a batch below 1.
    """
    if not 0.0 <= opacity <= 1.0:
        raise InputError(f"--opacity {opacity}: give a number from 0 to 1.")
    if batch is not None and batch < 1:
        raise InputError(f"--batch {batch}: give 1 or more.")


def _run(
    reader: VideoReader,
    backend: Backend,
    overlay: YuvOverlay,
    writer: VideoWriter,
    audio: AudioTrack | None,
    size: int,
    progress: Progress | None,
) -> None:
    batches: Channel[_Batch] = Channel(_WAITING)
    predicted: Channel[_Predicted] = Channel(_WAITING)
    decoder = Worker("decode", lambda: _decode(reader, size, batches))
    encoder = Worker("encode", lambda: _encode(predicted, overlay, writer, audio))
    encoder.start()
    decoder.start()
    try:
        _infer(batches, backend, predicted, reader.expected, progress)
        predicted.close()
        encoder.join()
    except Cancelled:  # the encoder has failed and says why below
        encoder.join()
    except KeyboardInterrupt:
        predicted.close()
        encoder.join()
        if encoder.error is None and writer.frames:
            _LOG.warning("%s: holds the first %d frames.", writer.path, writer.frames)
        raise
    finally:
        batches.cancel()
        predicted.cancel()
        decoder.join()
        encoder.join()
    if encoder.error is not None:
        raise encoder.error


def _decode(reader: VideoReader, size: int, batches: Channel[_Batch]) -> None:
    try:
        for batch in _in_batches(reader, size):
            batches.put(batch)
        batches.close()
    except Cancelled:
        return
    except BaseException as error:  # noqa: BLE001 - raised again by the thread that infers
        batches.close(error)


def _in_batches(reader: VideoReader, size: int) -> Iterator[_Batch]:
    to_rgb = RgbConverter()
    height, width = reader.format.height, reader.format.width
    images = np.empty((size, height, width, 3), np.uint8)
    frames: list[av.VideoFrame] = []
    for frame in reader:
        images[len(frames)] = to_rgb(frame)
        frames.append(frame)
        if len(frames) == size:
            yield _Batch(frames, images)
            images, frames = np.empty_like(images), []
    if frames:
        yield _Batch(frames, images[: len(frames)])


def _infer(
    batches: Channel[_Batch],
    backend: Backend,
    predicted: Channel[_Predicted],
    expected: int | None,
    progress: Progress | None,
) -> None:
    done = 0
    for batch in batches:
        predicted.put(_Predicted(batch.frames, backend.predict(batch.images).mask))
        done += len(batch.frames)
        if progress is not None:
            progress(done, expected)


def _encode(
    predicted: Channel[_Predicted],
    overlay: YuvOverlay,
    writer: VideoWriter,
    audio: AudioTrack | None,
) -> None:
    try:
        for batch in predicted:
            for frame, mask in zip(batch.frames, batch.masks, strict=True):
                writer.write(overlay(frame, mask))
        if writer.frames:
            writer.finish(audio)
    except Cancelled:
        return
    except BaseException:
        predicted.cancel()
        raise
