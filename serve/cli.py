"""`cfcontra-segment` and `cfcontra-demo`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cfcontra.command import Parser, console, notes, run_command, set_up_logging
from cfcontra.errors import CfcontraError, InputError

if TYPE_CHECKING:
    from cfcontra.runtime import Backend

    from .video.job import Task
    from .video.segment import VideoReport


def segment(argv: list[str] | None = None) -> int:
    """`cfcontra-segment`: overlay videos."""
    return run_command(_segment, argv)


def demo(argv: list[str] | None = None) -> int:
    """`cfcontra-demo`: a web page to try a model on pictures."""
    return run_command(_demo, argv)


def _segment(argv: list[str]) -> None:
    arguments = _segment_parser().parse_args(argv)
    set_up_logging(arguments)
    _wait_passively()
    from cfcontra.runtime import open_backend

    from .video.codec import find_encoder
    from .video.job import plan
    from .video.segment import check_settings

    check_settings(arguments.opacity, arguments.batch)
    find_encoder(arguments.codec)
    tasks = plan(arguments.sources, arguments.output)
    backend = open_backend(arguments.model, arguments.device, arguments.threads, arguments.runtime)
    failures: list[CfcontraError] = []
    for number, task in enumerate(tasks, start=1):
        title = task.source.name if len(tasks) == 1 else f"{number}/{len(tasks)} {task.source.name}"
        try:
            report = _segment_one(task, backend, arguments, title)
        except CfcontraError as error:
            if len(tasks) == 1:
                raise
            notes.print(f"{error}", style="red", markup=False, soft_wrap=True)
            failures.append(error)
        else:
            _print_report(report)
    if failures:
        raise InputError(
            f"{len(failures)} of {len(tasks)} videos failed:\n"
            + "\n".join(f"  {failure}" for failure in failures)
        )


def _segment_parser() -> Parser:
    parser = Parser(
        "segment",
        "Write videos with the model's classes coloured over them, as H.264 MP4 that browsers "
        "play. Timestamps, rotation and sound are kept.",
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="video files or patterns")
    parser.add_argument("--model", type=Path, required=True, help="a model.pt or an exported .onnx")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="PATH",
        help="file for one source, folder for several (default: NAME-segmented.mp4 beside each)",
    )
    parser.add_argument(
        "--batch", type=int, metavar="N", help="frames per inference (default: 1, on a GPU 8)"
    )
    parser.add_argument(
        "--opacity",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="of the class colours, 0 to 1 (default: 0.5)",
    )
    parser.add_argument(
        "--codec",
        default="libx264",
        metavar="NAME",
        help="video encoder, e.g. libx265, libsvtav1, h264_nvenc (default: libx264)",
    )
    parser.add_device()
    parser.add_runtime()
    parser.add_overwrite()
    return parser


def _segment_one(
    task: Task, backend: Backend, arguments: argparse.Namespace, title: str
) -> VideoReport:
    from .video.segment import segment_video

    with _progress(title, arguments.quiet) as progress:
        return segment_video(
            task.source,
            task.output,
            backend,
            opacity=arguments.opacity,
            batch=arguments.batch,
            codec=arguments.codec,
            threads=arguments.threads,
            progress=progress,
            overwrite=arguments.overwrite,
        )


@contextmanager
def _progress(title: str, quiet: bool) -> Iterator[Callable[[int, int | None], None] | None]:
    if quiet or not notes.is_terminal:
        yield None
        return
    from .progress import frame_progress

    with frame_progress(title, notes) as update:
        yield update


def _print_report(report: VideoReport) -> None:
    console.print(
        f"{report.output}: {report.frames} frames in {report.seconds:.1f} s, {report.fps:.1f} fps",
        markup=False,
        soft_wrap=True,
    )


def _demo(argv: list[str]) -> None:
    _wait_passively()
    from .web.command import run_demo

    run_demo(argv)


def _wait_passively() -> None:
    """Let idle OpenMP threads sleep: by default they spin, on cores that other stages need.

    Read when torch is loaded, so this comes before that.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
