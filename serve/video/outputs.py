"""What `--write` can name: kinds of results, their files and the sinks that write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cfcontra.config import nearest_hint
from cfcontra.errors import InputError

from .codec import DEFAULT_CODEC
from .compose import COMPOSERS
from .json_lines import JsonLinesSink
from .mask_pictures import MaskPicturesSink
from .sink import Sink
from .standard_output import StandardOutputSink
from .video_sink import VideoSink

ENDINGS = {
    "overlay": "-segmented.mp4",
    "side-by-side": "-side-by-side.mp4",
    "mask": "-mask.mp4",
    "png": "-masks",
    "jsonl": "-masks.jsonl",
}
"""Kind → what follows the source's name in that of the result; `png` is a folder."""


def parse_kinds(text: str) -> tuple[str, ...]:
    """Read a comma-separated list of kinds.

    Raises:
        InputError: an unknown one, or none.
    """
    kinds = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for kind in kinds:
        if kind not in ENDINGS:
            raise InputError(
                f"--write {kind}: unknown.{nearest_hint(kind, ENDINGS)} "
                f"There are {', '.join(ENDINGS)}."
            )
    if not kinds:
        raise InputError(f"--write '{text}': name at least one of {', '.join(ENDINGS)}.")
    return kinds


def make_sinks(
    outputs: dict[str, Path],
    opacity: float = 0.5,
    codec: str = DEFAULT_CODEC,
    summary: Callable[[], dict[str, Any]] = dict,
) -> list[Sink]:
    """A sink for each kind of result.

    Args:
        outputs: kind → file or folder.
        opacity: share of the class colours.
        codec: name of the video encoder.
        summary: what is known at the end, for the last of the JSON lines.

    Raises:
        InputError: there is no such encoder.
    """

    def make(kind: str, path: Path) -> Sink:
        if kind in COMPOSERS:
            return VideoSink(path, kind, opacity, codec)
        return MaskPicturesSink(path) if kind == "png" else JsonLinesSink(path, summary)

    return [make(kind, path) for kind, path in outputs.items()]


def sink_for_standard_output(
    kind: str, opacity: float, pixels: str, summary: Callable[[], dict[str, Any]] = dict
) -> Sink:
    """The sink of `--output -`: raw frames of a kind of picture, or JSON lines.

    Args:
        kind: one that `unfit_for_standard_output` lets pass.
        opacity: share of the class colours.
        pixels: layout of raw frames.
        summary: as of `make_sinks`.
    """
    if kind == "jsonl":
        return JsonLinesSink(None, summary)
    return StandardOutputSink(kind, opacity, pixels)


def require_ending(kind: str, path: Path) -> None:
    """Refuse a file name that says another format.

    Raises:
        InputError: it does not end as files of this kind do.
    """
    ending = Path(ENDINGS[kind]).suffix
    if path.suffix.lower() != ending:
        what = "MP4" if ending == ".mp4" else "JSON lines"
        raise InputError(
            f"{path}: the output is {what}; let its name end in {ending}. If it is a folder's, "
            "make the folder first."
        )


def unfit_for_standard_output(kinds: Sequence[str]) -> str | None:
    """Why these kinds cannot go to standard output, None if they can."""
    if len(kinds) != 1:
        return "--output - takes one kind of result; name one with --write."
    if kinds[0] == "png":
        return "--output -: pictures of masks need a folder. Write mask or jsonl there."
    return None
