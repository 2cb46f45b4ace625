"""The body of `cfcontra-segment`."""

from __future__ import annotations

import argparse
import logging
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cfcontra.command import console, notes, set_up_logging
from cfcontra.errors import CfcontraError, InputError, system_reason

from .segment_effect import refuse_without_effect, settle_look
from .segment_extras import JobExtras, SourceExtras, check_extras
from .segment_model import STREAMS, ModelChoice, open_model
from .segment_parser import parser
from .segment_remaining import without_finished, without_looked_through

if TYPE_CHECKING:
    from cfcontra.runtime import Backend

    from .progress import JobProgress
    from .video.job import Task
    from .video.segment import VideoReport
    from .video.sink import Sink
    from .video.source import Source
    from .video.sources import SourceOptions

_LOG = logging.getLogger(__name__)


def run(argv: list[str]) -> None:
    """Segment what the arguments name.

    Raises:
        CfcontraError: nothing could be started, or some of it failed.
    """
    arguments = parser().parse_intermixed_args(argv)
    set_up_logging(arguments)
    from .video.checks import check_settings
    from .video.codec import find_encoder
    from .video.job import plan
    from .video.outputs import parse_kinds, unfit_for_standard_output

    kinds = () if arguments.write == "none" else parse_kinds(arguments.write)
    settle_look(arguments, kinds)
    check_settings(arguments.opacity, arguments.batch, arguments.every)
    check_extras(arguments)
    find_encoder(arguments.codec)
    if arguments.resume and arguments.overwrite:
        raise InputError("--resume and --overwrite: one goes on, the other starts over; choose.")
    if arguments.resume and "-" in arguments.sources:
        raise InputError("--resume: standard input cannot be read again.")
    options = _source_options(arguments)
    to_pipe = arguments.output == "-"
    if to_pipe and (reason := unfit_for_standard_output(kinds)) is not None:
        raise InputError(reason)
    output = Path(arguments.output) if arguments.output and not to_pipe else None
    tasks = plan(arguments.sources, output, kinds)
    refuse_without_effect(arguments, kinds, tasks)
    if to_pipe:
        if len(tasks) > 1:
            raise InputError(f"--output -: there are {len(tasks)} sources; name one.")
        tasks = [replace(tasks[0], outputs={})]
    job = SegmentJob(arguments, kinds, options, tasks)
    if arguments.ray is None:
        job.run()
    else:
        job.run_on_ray()


def _source_options(arguments: argparse.Namespace) -> SourceOptions:
    from .video.sources import SourceOptions, parse_rate, parse_size

    raw = None if arguments.raw is None else parse_size(arguments.raw, "--raw")
    rate = SourceOptions.rate if arguments.rate is None else parse_rate(arguments.rate)
    pixels = arguments.pixels or SourceOptions.pixels
    return SourceOptions(raw, pixels, rate, arguments.threads, arguments.hwaccel)


class SegmentJob:
    """All that one call of the command does.

    Args:
        arguments: of the command.
        kinds: of results.
        options: how sources are read.
        tasks: what to segment into what.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        kinds: tuple[str, ...],
        options: SourceOptions,
        tasks: list[Task],
    ) -> None:
        self._arguments, self._kinds, self._options = arguments, kinds, options
        self._tasks = tasks
        self._console = notes if arguments.output == "-" else console

    def run(self) -> None:
        """Segment everything, one source after the other.

        Raises:
            CfcontraError: nothing could be started, or some of it failed.
        """
        from .video.pipeline import StoppedError
        from .video.sources import open_source

        tasks = self._remaining()
        if not tasks and not self._hard_frames_wait():
            return
        failures: list[str] = []
        with ExitStack() as stack:
            opened = self._open_only(stack, tasks)
            live = any(task.found.live for task in tasks)
            backend = open_model(ModelChoice.of(self._arguments), 1 if live else STREAMS)
            extras = stack.enter_context(JobExtras(self._arguments, backend))
            progress = self._progress(stack, tasks, opened)
            for number, task in enumerate(tasks, start=1):
                if progress is not None:
                    progress.begin(number, task.found.title)
                try:
                    source = opened or open_source(task.found, self._options)
                    self._say(self._segment(source, task, backend, extras, progress), progress)
                except StoppedError:
                    return
                except CfcontraError as error:
                    failure = str(error)
                    if len(self._tasks) == 1:
                        raise
                except BrokenPipeError:
                    raise
                except Exception as error:  # noqa: BLE001 - the other videos go on
                    _LOG.debug("%s", task.found.name, exc_info=True)
                    failure = f"{task.found.name}: {type(error).__name__}: {system_reason(error)}"
                else:
                    continue
                finally:
                    if progress is not None:
                        progress.end()
                extras.failed = True
                self._fail(failure, failures)
        self._end(failures)

    def run_on_ray(self) -> None:
        """Segment everything, spread over a Ray cluster.

        Raises:
            CfcontraError: there is no cluster, or some of it failed.
        """
        from .ray_job import spread

        tasks = self._remaining()
        failures: list[str] = []
        for line, failure in spread(self._arguments, self._kinds, self._options, tasks):
            if failure is None:
                self._say(line)
            else:
                self._fail(failure, failures)
        self._end(failures)

    def run_one(self, backend: Backend) -> str:
        """Segment the first source alone, without a word.

        Returns:
            what to say of it.

        Raises:
            CfcontraError: it failed.
        """
        from .video.sources import open_source

        task = self._tasks[0]
        with JobExtras(self._arguments, backend) as extras:
            source = open_source(task.found, self._options)
            return self._segment(source, task, backend, extras, None)

    def _say(self, line: str, progress: JobProgress | None = None) -> None:
        # The bar is on the other console: both may be the same terminal.
        with nullcontext() if progress is None else progress.aside():
            self._console.print(line, markup=False, soft_wrap=True)

    def _fail(self, failure: str, failures: list[str]) -> None:
        failures.append(failure)
        if len(self._tasks) > 1:
            notes.print(failure, style="red", markup=False, soft_wrap=True)

    def _end(self, failures: list[str]) -> None:
        if failures:
            raise InputError(_summary(failures, len(self._tasks)))

    def _open_only(self, stack: ExitStack, tasks: list[Task]) -> Source | None:
        """Open the one file there is before the model: what is wrong with it shows sooner."""
        from .video.checks import refuse_existing
        from .video.sources import open_source

        if len(self._tasks) > 1 or not tasks or tasks[0].found.live:
            return None
        if not (self._arguments.overwrite or self._arguments.resume):
            refuse_existing(tasks[0].outputs.values())
        source = open_source(tasks[0].found, self._options)
        stack.callback(source.close)
        return source

    def _remaining(self) -> list[Task]:
        """The tasks, less what earlier calls have done and `--resume` may pass over."""
        if not self._arguments.resume:
            return self._tasks
        if self._kinds:
            return without_finished(self._tasks, self._say)
        return without_looked_through(self._tasks, self._arguments.hard_frames, self._say)

    def _hard_frames_wait(self) -> bool:
        """Whether all was looked at before, and the hard frames remain to be chosen."""
        folder = self._arguments.hard_frames
        if folder is None:
            return False
        from .video.hard_frames import HardFrames

        return HardFrames.is_unfinished(folder)

    def _progress(
        self, stack: ExitStack, tasks: list[Task], opened: Source | None
    ) -> JobProgress | None:
        if self._arguments.quiet or not notes.is_terminal:
            return None
        from .progress import JobProgress
        from .video.sources import expected_frames

        if opened is not None:
            expected = [opened.expected]
        else:
            expected = [expected_frames(task.found) for task in tasks]
        return stack.enter_context(JobProgress(notes, expected))

    def _segment(
        self,
        source: Source,
        task: Task,
        backend: Backend,
        job: JobExtras,
        progress: JobProgress | None,
    ) -> str:
        from .video.segment import segment

        arguments = self._arguments
        extras = job.of(source)

        def update(done: int, expected: int | None) -> None:
            if progress is not None:
                progress.update(done, expected, extras.now())

        try:
            report = segment(
                extras.source,
                [*self._sinks(task, extras), *job.sinks()],
                backend,
                batch=arguments.batch,
                every=arguments.every,
                threads=arguments.threads,
                filters=extras.filters,
                observers=extras.observers,
                progress=update,
                stop=job.stop,
                overwrite=arguments.overwrite,
                resumable=not task.found.live,
                resume=arguments.resume,
                settings=self._settings(task, backend),
                journal=None if self._kinds else job.journal(source),
            )
            job.end()
        except KeyboardInterrupt:
            if words := extras.words():
                notes.print(f"{task.found.name}{words}", markup=False, soft_wrap=True)
            raise
        return self._line(report, task, extras)

    def _sinks(self, task: Task, extras: SourceExtras) -> list[Sink]:
        from .video.outputs import make_sinks, sink_for_standard_output

        arguments = self._arguments
        if arguments.output == "-":
            kind, pixels = self._kinds[0], self._options.pixels
            return [sink_for_standard_output(kind, arguments.opacity, pixels, extras.summary)]
        return make_sinks(task.outputs, arguments.opacity, arguments.codec, extras.summary)

    def _settings(self, task: Task, backend: Backend) -> dict[str, object]:
        """What must not have changed for `--resume`, in the words of the command."""
        from .video.fingerprint import fingerprint

        arguments = self._arguments
        return {
            "--write": sorted(task.outputs),
            "--opacity": arguments.opacity,
            "--codec": arguments.codec,
            "--every": arguments.every,
            "--smooth": arguments.smooth,
            "--duration": arguments.duration,
            **({"--rate": str(self._options.rate)} if task.found.pictures else {}),
            **fingerprint(task.found, backend),
        }

    def _line(self, report: VideoReport, task: Task, extras: SourceExtras) -> str:
        where = ", ".join(map(str, report.outputs)) or task.found.name
        resumed = f" ({report.resumed} of them before)" if report.resumed else ""
        every = self._arguments.every
        asked = f", the model asked about every {every} frames" if every > 1 else ""
        return (
            f"{where}: {report.frames} frames{resumed} in {report.seconds:.1f} s, "
            f"{report.fps:.1f} fps{asked}{extras.words()}"
        )


def _summary(failures: list[str], tasks: int) -> str:
    if tasks == 1:
        return failures[0]
    return f"{len(failures)} of {tasks} videos failed:\n" + "\n".join(
        f"  {failure}" for failure in failures
    )
