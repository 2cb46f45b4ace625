"""Finding the videos and picture folders behind what the user named."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from cfcontra.datasets.images import IMAGE_SUFFIXES
from cfcontra.errors import InputError

from .connect import is_live, shown_name, stem

STANDARD_INPUT = "-"
VIDEOS = frozenset(
    f".{ending}"
    for ending in (
        *("mp4", "m4v", "mov", "mkv", "webm", "avi", "wmv", "asf", "flv", "3gp", "ogv", "mxf"),
        *("ts", "mts", "m2ts", "mpg", "mpeg", "vob", "mjpeg", "mjpg", "h264", "264", "hevc"),
        *("h265", "265", "ivf", "y4m", "nut", "dav"),
    )
)
"""Endings by which videos are found in a folder; a file named as such may have any."""


@dataclass(frozen=True)
class Found:
    """One source.

    Attributes:
        source: a video file, a folder of pictures, or `-`.
        relative: where its results go below an output folder, without ending.
        pictures: the folder's pictures in order; empty for a video.
        live: camera or address of a stream as typed, credentials and all; empty for files.
            Then `source` is but what results are called.
    """

    source: Path
    relative: Path
    pictures: tuple[Path, ...] = ()
    live: str = ""

    @property
    def name(self) -> str:
        """For messages."""
        return shown_name(self.live) if self.live else str(self.source)

    @property
    def title(self) -> str:
        """For the progress line."""
        return shown_name(self.live) if self.live else self.source.name


def find(sources: Iterable[str], output: Path | None = None) -> list[Found]:
    """Turn what the user named into sources: files, patterns, folders, `-`.

    A folder stands for the videos in it and below it, or, if there are none, for each
    folder of pictures. Hidden files are passed over, and so is what lies in `output`.

    Args:
        sources: as typed. In `relative` files have their names alone, and of several folders each
            keeps its own. Where that would make two the same, as when a shell has expanded a
            pattern, all have their paths from the folder that holds them all.
        output: folder that results go to.

    Raises:
        InputError: a pattern or a folder holds nothing.
    """
    named = list(sources)
    found: dict[str | Path, Found] = {}
    for source in named:
        for entry in _expand(source, len(named) > 1, output):
            found.setdefault(entry.live or entry.source, entry)
    entries = list(found.values())
    clash = len({entry.relative for entry in entries}) < len(entries)
    return _mirrored(entries) if clash and len(named) > 1 else entries


def _mirrored(entries: list[Found]) -> list[Found]:
    paths = {
        entry.source: Path(os.path.abspath(entry.source))  # noqa: PTH100 - keeps links, but no `..`
        for entry in entries
        if not entry.live and entry.source != Path(STANDARD_INPUT)
    }
    if not paths:
        return entries
    top = os.path.commonpath([path.parent for path in paths.values()])
    return [
        replace(entry, relative=path.relative_to(top).with_name(entry.relative.name))
        if (path := paths.get(entry.source)) is not None
        else entry
        for entry in entries
    ]


def _expand(source: str, several: bool, output: Path | None) -> Iterator[Found]:
    path = Path(source)
    if path.is_dir():
        entries = _in_folder(path, output)
        if not entries:
            raise InputError(f"{path}: holds neither videos nor pictures.")
        for entry in entries:
            yield Found(
                entry.source,
                path.resolve().name / entry.relative if several else entry.relative,
                entry.pictures,
            )
    elif source == STANDARD_INPUT:
        yield Found(path, Path("stdin"))
    elif is_live(source):
        called = Path(f"{stem(source)}-{datetime.now():%Y%m%d-%H%M%S}")
        yield Found(called, called, live=source)
    elif path.exists() or not glob.has_magic(source):
        yield Found(path, without_ending(Path(path.name)))
    else:
        yield from _matching(source, output)


def _matching(pattern: str, output: Path | None) -> Iterator[Found]:
    matches = sorted(map(Path, glob.glob(pattern, recursive=True)))  # noqa: PTH207 - the user's own
    base = Path(*_before_magic(Path(pattern).parts))
    files = [path for path in matches if path.is_file() and not _inside(path, output, base)]
    if not files:
        raise InputError(f"{pattern}: no file matches this pattern.")
    for path in files:
        yield Found(path, without_ending(path.relative_to(base)))


def _before_magic(parts: tuple[str, ...]) -> Iterator[str]:
    for part in parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def _in_folder(folder: Path, output: Path | None) -> list[Found]:
    videos: list[Found] = []
    pictures: list[Found] = []
    for place, names, files in os.walk(folder):
        here = Path(place)
        names[:] = sorted(
            name for name in names if name[0] != "." and not _inside(here / name, output, folder)
        )
        shown = [here / name for name in files if name[0] != "."]
        for path in sorted(shown, key=_natural):
            if path.suffix.lower() in VIDEOS:
                videos.append(Found(path, without_ending(path.relative_to(folder))))
        stills = sorted((p for p in shown if p.suffix.lower() in IMAGE_SUFFIXES), key=_natural)
        if stills:
            relative = here.relative_to(folder) if here != folder else Path(here.resolve().name)
            pictures.append(Found(here, relative, tuple(stills)))
    return videos or pictures


def _inside(path: Path, output: Path | None, base: Path) -> bool:
    """Whether `path` lies in an output folder that itself lies among the sources."""
    if output is None:
        return False
    results, sources = output.resolve(), base.resolve()
    below = results != sources and results.is_relative_to(sources)
    return below and path.resolve().is_relative_to(results)


def without_ending(path: Path) -> Path:
    """`drive.2024` of `drive.2024.mp4`, and of `drive.2024`."""
    return path.with_suffix("") if path.suffix.lower() in VIDEOS else path


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts `frame10` behind `frame9`."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]
