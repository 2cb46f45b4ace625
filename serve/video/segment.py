"""One video through the model: the entry point of the command, the web server and libraries."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from cfcontra.errors import InputError
from cfcontra.runtime import Backend

from .checkpoint import Checkpoints
from .checks import check_settings, prepare_result, refuse_source_as_output
from .codec import DEFAULT_CODEC
from .pipeline import MaskFilter, Observer, Progress, Run, Stage
from .reader import VideoReader
from .rescue import rescued
from .sink import Context, Sink
from .source import Source
from .video_sink import VideoSink
from .work import WorkFolder, work_path

_LOG = logging.getLogger(__name__)
_GPU_BATCH, _GPU_PIXELS = 8, 8 * 1920 * 1080


@dataclass(frozen=True)
class VideoReport:
    """What was done to one video.

    Attributes:
        output: what was written first, None if nothing lasting.
        outputs: all files and folders written.
        frames: frames in them.
        seconds: wall time this process took.
        size: `(width, height)` of the frames as shown.
        rate: frames per second of the video.
        damaged: packets of the source that could not be decoded.
        dropped: frames of a live source that were passed over.
        resumed: frames that an earlier process had done.
        stages: where the time went, by stage.
    """

    output: Path | None
    outputs: tuple[Path, ...]
    frames: int
    seconds: float
    size: tuple[int, int]
    rate: Fraction
    damaged: int
    dropped: int = 0
    resumed: int = 0
    stages: Mapping[str, Stage] = field(default_factory=dict)

    @property
    def fps(self) -> float:
        """Frames done per second of wall time."""
        return (self.frames - self.resumed) / self.seconds


def segment_video(
    source: Path | Source,
    output: Path,
    backend: Backend,
    *,
    opacity: float = 0.5,
    batch: int | None = None,
    codec: str = DEFAULT_CODEC,
    every: int = 1,
    threads: int | None = None,
    sinks: Sequence[Sink] = (),
    filters: Sequence[MaskFilter] = (),
    observers: Sequence[Observer] = (),
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    overwrite: bool = False,
) -> VideoReport:
    """Write `source` with the model's classes coloured over it.

    Frame count, timestamps and audio are kept; rotation is applied. Interrupted by
    Ctrl-C, the frames done so far are finished into a playable file before
    `KeyboardInterrupt` goes on; on any error nothing is left at `output`. Where the source cannot
    be read again, what was recorded until then stays in `NAME.unfinished/` beside it.

    Args:
        source: video file, or a source, which is closed here.
        output: MP4 to write.
        backend: the model.
        opacity: share of the class colour, 0–1.
        batch: frames per inference, None for 1 on a CPU and 8 on a GPU.
        codec: name of the video encoder.
        every: the model is asked about every how manieth frame.
        threads: threads of decoder and encoder each, None for their own choice.
        sinks: where results go besides.
        filters: change masks on their way to all sinks, in order; for this video alone, as
            they may remember what they saw.
        observers: called with every result as the sinks get it, in a thread of the run.
        progress: called with frames done and frames expected (None if unknown); first before
            any is done here.
        stop: set it, from any thread, to end the run soon; nothing is left then.
        overwrite: whether an existing output may be replaced.

    Raises:
        InputError: the source cannot be read or the output cannot be written.
        StoppedError: `stop` was set.
    """
    check_settings(opacity, batch, every)
    if output.suffix.lower() != ".mp4":
        raise InputError(f"{output}: the output is MP4; let its name end in .mp4.")
    refuse_source_as_output(source, output)
    opened = VideoReader(source, threads) if isinstance(source, Path) else source
    return segment(
        opened,
        [VideoSink(output, "overlay", opacity, codec), *sinks],
        backend,
        batch=batch,
        every=every,
        threads=threads,
        filters=filters,
        observers=observers,
        progress=progress,
        stop=stop,
        overwrite=overwrite,
    )


def segment(
    source: Source,
    sinks: Sequence[Sink],
    backend: Backend,
    *,
    batch: int | None = None,
    every: int = 1,
    threads: int | None = None,
    filters: Sequence[MaskFilter] = (),
    observers: Sequence[Observer] = (),
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    overwrite: bool = False,
    resumable: bool = False,
    resume: bool = False,
    settings: Mapping[str, Any] | None = None,
    journal: Path | None = None,
) -> VideoReport:
    """Take any source through the model into any sinks. See `segment_video` for the rest.

    Args:
        source: opened; closed here.
        sinks: not opened; of different names, those with an `output` all in one folder.
        backend: the model.
        resumable: whether what is unfinished stays when something goes wrong, for a later
            `resume`; otherwise it is removed. Of a source that cannot be read again, what was
            recorded until then stays in any case, in a folder `NAME.unfinished/`.
        resume: whether to go on with what an earlier call left; a new start if it left nothing.
        settings: what must be the same to go on; plain data.
        journal: folder for noting how far it came where no sink has an `output`, made if need
            be and removed in the end; None if that need not be known.
    """
    started = time.perf_counter()
    outputs = tuple(sink.output for sink in sinks if sink.output is not None)
    kept = resumable and source.resumable
    with ExitStack() as stack:
        stack.enter_context(source)
        for sink in sinks:
            if sink.output is not None:
                prepare_result(sink.output, sink.folder, overwrite or resume)
        run = Run(source, backend, sinks, _batch_for(source, backend, batch), every)
        run.filters, run.observers = filters, observers
        run.progress, run.stop = progress, stop
        work: WorkFolder | None = None
        place = work_path(outputs[0]) if outputs else journal if kept else None
        if place is not None:
            once = not source.resumable
            work = WorkFolder(place, settings or {}, resume, kept, once)
            stack.enter_context(work)
            for output in outputs[1:]:  # another process may name it first
                claim = WorkFolder(work_path(output), {}, resume, keep=True, once=once)
                stack.enter_context(claim)
            if work.mark is not None:
                source.skip_to(work.mark)
                run.frames, run.memory = work.mark.frames, work.memory
                _LOG.info("%s: goes on at frame %d.", source.name, run.frames)
            if kept:
                run.checkpoints = Checkpoints(work, len(sinks))
        resumed = run.frames
        context = Context(source, backend, every, work.path if work else None, threads=threads)
        for sink in sinks:
            stack.callback(sink.discard)
            state = work.state_of(sink.name) if work else None
            sink.open(replace(context, state=state))
        with rescued(run, work) if work and not source.resumable else nullcontext():
            run()
        return _report(run, outputs, started, resumed)


def _batch_for(source: Source, backend: Backend, asked: int | None) -> int:
    if source.live:
        return 1
    if asked is not None or not backend.device.startswith("cuda"):
        return asked or 1
    pixels = source.format.width * source.format.height
    return max(1, min(_GPU_BATCH, _GPU_PIXELS // pixels))


def _report(run: Run, outputs: tuple[Path, ...], started: float, resumed: int) -> VideoReport:
    form = run.source.format
    return VideoReport(
        output=outputs[0] if outputs else None,
        outputs=outputs,
        frames=run.frames,
        seconds=time.perf_counter() - started,
        size=(form.width, form.height),
        rate=form.rate,
        damaged=run.source.damaged,
        dropped=run.dropped,
        resumed=resumed,
        stages=run.stages,
    )
