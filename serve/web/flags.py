"""The command line's way to a server's settings."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cfcontra.errors import InputError

from .settings import MEGABYTE, Limits, Settings

_DEFAULT = Limits()


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Options of access, limits and logs."""
    access = parser.add_argument_group("access")
    access.add_argument(
        "--auth-file",
        type=Path,
        metavar="FILE",
        help="with a TOKEN or USER:PASSWORD on each line, for page and API; the environment's "
        "CFCONTRA_AUTH does the same (default: everybody may come in)",
    )
    access.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name the server is called by, such as its proxy's; * for any",
    )
    access.add_argument(
        "--allow-urls", action="store_true", help="fetch pictures that are named by a public URL"
    )
    limits = parser.add_argument_group("limits")
    for name, default, text in (
        ("--max-image-mb", _DEFAULT.image_bytes / MEGABYTE, "of a picture's file"),
        ("--max-megapixels", _DEFAULT.image_pixels / 1e6, "of a picture"),
        ("--max-video-mb", _DEFAULT.video_bytes / MEGABYTE, "of a video's file"),
        ("--max-frames", _DEFAULT.video_frames, "of a video"),
        ("--max-jobs", _DEFAULT.running_jobs, "videos at the same time"),
        ("--max-waiting-jobs", _DEFAULT.waiting_jobs, "videos that wait"),
        ("--max-job-minutes", _DEFAULT.job_seconds / 60, "for one video"),
        ("--keep-minutes", _DEFAULT.kept_seconds / 60, "until uploads and results are deleted"),
        ("--max-stored-mb", _DEFAULT.stored_bytes / MEGABYTE, "of all uploads and results"),
        ("--max-queue", _DEFAULT.queue, "pictures that may wait; more are told to come again"),
        ("--timeout", _DEFAULT.request_seconds, "seconds for a picture"),
    ):
        limits.add_argument(
            name,
            type=type(default),
            default=default,
            metavar="N",
            help=f"{text} (default: {default:g})",
        )
    running = parser.add_argument_group("running")
    running.add_argument(
        "--max-batch",
        type=int,
        metavar="N",
        help="pictures in one run of a model (default: 16 on a GPU; on a CPU by runtime)",
    )
    running.add_argument(
        "--scratch",
        type=Path,
        metavar="FOLDER",
        help="where uploads lie while they are needed (default: in the temporary folder)",
    )
    running.add_argument(
        "--log",
        metavar="FILE",
        help="a JSON line per REST request, with -v for the page's own too; - for standard error "
        "(default: that, unless it is a terminal or --quiet is given)",
    )


def settings_from(arguments: argparse.Namespace) -> Settings:
    """Settings of parsed arguments and the environment.

    Raises:
        InputError: a value out of range, or unusable secrets.
    """
    from .decoding import MOST_PIXELS
    from .guard.access import read_secrets

    for name in (
        "max_image_mb",
        "max_megapixels",
        "max_video_mb",
        "max_frames",
        "max_jobs",
        "max_job_minutes",
        "keep_minutes",
        "max_stored_mb",
        "max_queue",
        "timeout",
        "max_batch",
    ):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"--{name.replace('_', '-')} {value}: give a number above 0.")
    if arguments.max_megapixels * 1e6 > MOST_PIXELS:
        raise InputError(
            f"--max-megapixels {arguments.max_megapixels:g}: up to {MOST_PIXELS // 1_000_000} can "
            "be read."
        )
    if arguments.max_waiting_jobs < 0:
        raise InputError(f"--max-waiting-jobs {arguments.max_waiting_jobs}: give 0 or more.")
    image_bytes = int(arguments.max_image_mb * MEGABYTE)
    limits = Limits(
        image_bytes=image_bytes,
        image_pixels=int(arguments.max_megapixels * 1e6),
        batch_bytes=max(image_bytes, _DEFAULT.batch_bytes),
        video_bytes=int(arguments.max_video_mb * MEGABYTE),
        video_frames=arguments.max_frames,
        running_jobs=arguments.max_jobs,
        waiting_jobs=arguments.max_waiting_jobs,
        job_seconds=arguments.max_job_minutes * 60,
        kept_seconds=max(1, int(arguments.keep_minutes * 60)),
        stored_bytes=int(arguments.max_stored_mb * MEGABYTE),
        queue=arguments.max_queue,
        request_seconds=arguments.timeout,
    )
    log = arguments.log
    if log is None and not arguments.quiet and not sys.stderr.isatty():
        log = "-"
    return Settings(
        limits=limits,
        secrets=read_secrets(arguments.auth_file),
        hosts=tuple(arguments.allowed_host),
        allow_urls=arguments.allow_urls,
        scratch=arguments.scratch,
        max_batch=arguments.max_batch,
        log=log,
    )
