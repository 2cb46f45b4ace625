"""Options of `cfcontra-segment` that would do nothing for what it was given."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cfcontra.errors import InputError

if TYPE_CHECKING:
    from .video.job import Task


_OPACITY, _CODEC = 0.5, "libx264"


def settle_look(arguments: argparse.Namespace, kinds: Sequence[str]) -> None:
    """Put the usual opacity and encoder where none were given.

    Raises:
        InputError: they were given, and nothing here is drawn or encoded with them.
    """
    drawn = bool({"overlay", "side-by-side"} & {*kinds})
    drawn = drawn or arguments.preview is not None or arguments.show
    encoded = bool({"overlay", "side-by-side", "mask"} & {*kinds}) and arguments.output != "-"
    for option, value, has_effect, what in (
        ("--opacity", arguments.opacity, drawn, "overlay is drawn"),
        ("--codec", arguments.codec, encoded, "video is encoded"),
    ):
        if value is not None and not has_effect:
            raise InputError(f"{option}: no {what} here. Leave it out, or --write overlay.")
    if arguments.opacity is None:
        arguments.opacity = _OPACITY
    arguments.codec = arguments.codec or _CODEC


def refuse_without_effect(
    arguments: argparse.Namespace, kinds: Sequence[str], tasks: Sequence[Task]
) -> None:
    """Refuse options about raw frames, pictures, decoding or going on where there is none of it.

    Args:
        arguments: of the command.
        kinds: of results.
        tasks: what is read and written.

    Raises:
        InputError: such an option, or hardware that FFmpeg does not know here.
    """
    from .video.open_file import find_accelerator

    _refuse_resume(arguments, tasks)
    reads_raw = arguments.raw is not None
    if reads_raw and "-" not in arguments.sources:
        raise InputError("--raw: is about standard input; name - as the source.")
    writes_raw = arguments.output == "-" and "jsonl" not in kinds
    if arguments.pixels is not None and not (reads_raw or writes_raw):
        raise InputError(
            "--pixels: is about raw frames, read with --raw or written with --output -; leave it "
            "out."
        )
    pictures = any(task.found.pictures for task in tasks)
    if arguments.rate is not None and not (reads_raw or pictures):
        raise InputError(
            "--rate: is about raw frames and folders of pictures; videos and streams have their "
            "own. Leave it out."
        )
    if arguments.hwaccel is None:
        return
    find_accelerator(arguments.hwaccel)
    for task in tasks:
        if (what := _not_decoded_there(task, reads_raw)) is not None:
            raise InputError(
                f"--hwaccel {arguments.hwaccel}: decodes videos and streams, not {what}."
            )


def _refuse_resume(arguments: argparse.Namespace, tasks: Sequence[Task]) -> None:
    if not arguments.resume:
        return
    if arguments.output == "-":
        raise InputError("--resume: what went to standard output cannot be gone on with.")
    if all(task.found.live for task in tasks):
        raise InputError("--resume: cameras and streams cannot be gone on with; leave it out.")


def _not_decoded_there(task: Task, reads_raw: bool) -> str | None:
    from .video.address import is_stream
    from .video.find import STANDARD_INPUT

    if task.found.pictures:
        return f"the pictures of {task.found.name}"
    if task.found.live and not is_stream(task.found.live):
        return f"what {task.found.name} gives"
    return "raw frames" if reads_raw and str(task.source) == STANDARD_INPUT else None
