"""Several videos in one go: which file becomes which, and what went wrong where."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cfcontra.errors import InputError

_SUFFIX = "-segmented"


@dataclass(frozen=True)
class Task:
    """One video and the file its overlay goes to."""

    source: Path
    output: Path


def plan(sources: Iterable[str], output: Path | None) -> list[Task]:
    """Turn what the user named into tasks.

    Without `output` the result stands beside each source as `NAME-segmented.mp4`; for
    one source `output` is the file (or an existing folder to put it in), for several
    the folder. Results of an earlier run that a pattern picks up are left out.

    Raises:
        InputError: a pattern matches nothing, or two results would have the same name.
    """
    paths = _without_results(_expand(sources))
    if output is not None and len(paths) == 1 and not output.is_dir():
        return [Task(paths[0], output)]
    if output is not None and len(paths) > 1 and output.suffix and not output.is_dir():
        raise InputError(f"--output {output}: there are {len(paths)} sources; name a folder.")
    tasks = [Task(path, (output or path.parent) / f"{path.stem}{_SUFFIX}.mp4") for path in paths]
    taken: dict[Path, Path] = {}
    for task in tasks:
        other = taken.setdefault(task.output, task.source)
        if other != task.source:
            raise InputError(
                f"{other} and {task.source} would both be written to {task.output}. "
                "Segment them in two goes, or rename one."
            )
    return tasks


def _expand(sources: Iterable[str]) -> list[Path]:
    found: dict[Path, None] = {}
    for source in sources:
        if Path(source).exists() or not glob.has_magic(source):
            found[Path(source)] = None
            continue
        matches = sorted(glob.glob(source, recursive=True))  # noqa: PTH207 - a pattern of the user's
        if not matches:
            raise InputError(f"{source}: no file matches this pattern.")
        found.update(dict.fromkeys(Path(match) for match in matches))
    return list(found)


def _without_results(paths: list[Path]) -> list[Path]:
    stems = {(path.parent, path.stem) for path in paths}
    return [
        path
        for path in paths
        if not (
            path.stem.endswith(_SUFFIX) and (path.parent, path.stem.removesuffix(_SUFFIX)) in stems
        )
    ]
