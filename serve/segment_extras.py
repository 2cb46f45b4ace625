"""What `cfcontra-segment` does beside writing results: steady masks, hard frames, watching."""

from __future__ import annotations

import argparse
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cfcontra.command import console, notes
from cfcontra.errors import InputError

if TYPE_CHECKING:
    from cfcontra.runtime import Backend

    from .video.hard_frames import HardFrames
    from .video.live_status import LiveStatus
    from .video.pipeline import MaskFilter, Observer
    from .video.preview import Preview
    from .video.sink import Sink
    from .video.smooth import MaskSmoother
    from .video.source import Source
    from .video.window import Window

BUDGET = 200


def check_extras(arguments: argparse.Namespace) -> None:
    """Refuse what contradicts itself, before anything is opened.

    Raises:
        InputError: a value out of range, or nothing at all to do.
    """
    from .video.limit import check_duration

    check_duration(arguments.duration)
    if arguments.budget is not None and arguments.hard_frames is None:
        raise InputError("--budget: is about --hard-frames; name a folder for them.")
    if arguments.ray is not None:
        _check_ray(arguments)
    if arguments.write != "none":
        return
    if not (arguments.hard_frames or arguments.show or arguments.preview is not None):
        raise InputError(
            "--write none: leaves nothing to do; add --hard-frames, --preview or --show."
        )
    if arguments.output is not None:
        raise InputError("--write none: writes nothing to --output; leave one of them out.")


def _check_ray(arguments: argparse.Namespace) -> None:
    from .video.connect import is_live

    here = {
        "--show": arguments.show,
        "--preview": arguments.preview is not None,
        "--hard-frames": arguments.hard_frames is not None,
        "--output -": arguments.output == "-",
    }
    for option, given in here.items():
        if given:
            raise InputError(f"--ray: {option} needs everything in one process; leave one out.")
    if any(source == "-" or is_live(source) for source in arguments.sources):
        raise InputError("--ray: spreads files; cameras, streams and standard input stay here.")


class JobExtras:
    """Those of one job. They outlive its sources; leaving the `with` block completes them.

    Args:
        arguments: of the command.
        backend: the model.

    Attributes:
        stop: ends the job.
        failed: whether a source failed, so that the job may be gone on with.

    Raises:
        InputError: no display, a port that is taken, or a folder that is not free.
    """

    def __init__(self, arguments: argparse.Namespace, backend: Backend) -> None:
        self._arguments = arguments
        self.stop = threading.Event()
        self.failed = False
        self.hard_frames: HardFrames | None = None
        self._preview: Preview | None = None
        self._window: Window | None = None
        self._stack = ExitStack()
        try:
            if arguments.hard_frames is not None:
                self._collect(backend)
            if arguments.preview is not None:
                self._serve_preview(arguments.preview)
            if arguments.show:
                self._open_window()
        except BaseException:
            self._stack.close()
            raise

    def _collect(self, backend: Backend) -> None:
        from .video.hard_frames import HardFrames

        arguments = self._arguments
        self.hard_frames = HardFrames(
            arguments.hard_frames,
            BUDGET if arguments.budget is None else arguments.budget,
            backend.metadata,
            arguments.overwrite,
            arguments.resume,
        )
        self._stack.callback(self.hard_frames.discard)
        if not backend.gives_frame_scores:
            notes.print(
                f"{arguments.model}: gives no scores of whole frames; --hard-frames goes by the "
                "confidence of its masks alone. Models trained and exported by this version give "
                "entropy and distance to the training's prototypes too.",
                soft_wrap=True,
                markup=False,
            )

    def _serve_preview(self, port: int) -> None:
        from .video.preview import Preview

        self._preview = Preview(port)
        self._stack.callback(self._preview.close)
        notes.print(f"preview: {self._preview.url}", soft_wrap=True)

    def _open_window(self) -> None:
        from .video.window import Window

        self._window = Window("cfcontra")
        self._stack.callback(self._window.close)

    def of(self, source: Source) -> SourceExtras:
        """Those of the next source of the job."""
        if self.hard_frames is not None:
            self.hard_frames.begin(source.name)
        return SourceExtras(self._arguments, source, self.hard_frames)

    def journal(self, source: Source) -> Path | None:
        """Where to note how far a source came that has no results of its own, if anywhere."""
        return None if self.hard_frames is None else self.hard_frames.journal(source.name)

    def end(self) -> None:
        """The source is through."""
        if self.hard_frames is not None:
            self.hard_frames.end()

    def sinks(self) -> list[Sink]:
        """Fresh ones, for one source."""
        sinks: list[Sink] = []
        opacity = self._arguments.opacity
        if self._preview is not None:
            from .video.preview import PreviewSink

            sinks.append(PreviewSink(self._preview, opacity))
        if self._window is not None:
            from .video.window import WindowSink

            sinks.append(WindowSink(self._window, opacity, self._window_closed))
        return sinks

    def _window_closed(self) -> None:
        """The window was all that the job was for, or the rest goes on without it."""
        alone = self._arguments.write == "none" and self.hard_frames is None
        if alone and self._preview is None:
            self.stop.set()

    def __enter__(self) -> JobExtras:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._stack:
            if self.hard_frames is None or not (kind is None or kind is KeyboardInterrupt):
                return
            complete = kind is None and not self.failed
            count = self.hard_frames.finish(complete)
            folder, wanted = self.hard_frames.folder, self.hard_frames.budget
            more = ""
            if self.hard_frames.is_unfinished(folder):
                more = " so far; --resume goes on"
            elif complete and count < wanted:
                more = f" ({wanted} were asked for; no more differ)"
            elif not count:
                return  # nothing was written
            where = notes if self._arguments.output == "-" else console
            where.print(f"{folder}: {count} hard frames{more}", markup=False, soft_wrap=True)


class SourceExtras:
    """Those of one source.

    Args:
        arguments: of the command.
        source: opened.
        hard_frames: the job's, if any.
    """

    def __init__(
        self, arguments: argparse.Namespace, source: Source, hard_frames: HardFrames | None
    ) -> None:
        from .video.limit import Limited
        from .video.live import LiveSource

        self._smoother: MaskSmoother | None = None
        self._status: LiveStatus | None = None
        if arguments.smooth:
            from .video.smooth import MaskSmoother

            self._smoother = MaskSmoother()
        if isinstance(source, LiveSource) and source.live:
            from .video.live_status import LiveStatus

            self._status = LiveStatus(source)
        watching = (hard_frames, self._status)
        self.observers: list[Observer] = [one for one in watching if one is not None]
        self.filters: list[MaskFilter] = [] if self._smoother is None else [self._smoother]
        limit = arguments.duration
        self.source = source if limit is None else Limited(source, limit)

    def now(self) -> str:
        """A few words for the progress line."""
        return self._status.now() if self._status is not None else ""

    def words(self) -> str:
        """What the report line says besides, with a comma before it."""
        said = [str(self._smoother.flicker)] if self._smoother is not None else []
        if self._status is not None:
            said.append(self._status.summary())
        return "".join(f", {words}" for words in said)

    def summary(self) -> dict[str, Any]:
        """The same as data, for the end of the JSON lines."""
        summary: dict[str, Any] = {}
        if self._smoother is not None:
            before, after = self._smoother.flicker.before, self._smoother.flicker.after
            summary["flicker"] = {"before": before, "after": after}
        if self._status is not None:
            summary["live"] = self._status.figures()
        return summary
