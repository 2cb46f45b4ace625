"""Several videos in one go: which source becomes which files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cfcontra.errors import InputError

from .find import VIDEOS, Found, find
from .outputs import ENDINGS, require_ending


@dataclass(frozen=True)
class Task:
    """One source and the files that its results go to.

    Attributes:
        found: the source.
        outputs: kind of result → file, or folder of `png`.
    """

    found: Found
    outputs: dict[str, Path]

    @property
    def source(self) -> Path:
        return self.found.source


def plan(
    sources: Iterable[str], output: Path | None, kinds: Sequence[str] = ("overlay",)
) -> list[Task]:
    """Turn what the user named into tasks.

    Without `output` results stand beside each source, as `NAME-segmented.mp4` and so on;
    for one source and one kind `output` may be the file, otherwise it is a folder, in
    which folders of sources are mirrored. Results of an earlier run among the sources are
    left out.

    Raises:
        InputError: a pattern or folder holds nothing, a result would be its own source, or two
            results would have the same name.
    """
    found = _without_results(find(sources, output))
    one = len(found) == len(kinds) == 1 and "png" not in kinds
    if output is not None and _names_a_file(output, one):
        tasks = [_into_file(found, output, kinds)]
    else:
        tasks = [_into_folder(entry, output, kinds) for entry in found]
    _refuse_clashes(tasks)
    return tasks


def _names_a_file(output: Path, one: bool) -> bool:
    """Whether a path is a file's: folders have dots in their names, too."""
    if output.is_dir():
        return False
    return bool(output.suffix) if one else output.suffix.lower() in (VIDEOS | {".jsonl"})


def _into_file(found: list[Found], output: Path, kinds: Sequence[str]) -> Task:
    if len(found) > 1:
        raise InputError(f"--output {output}: there are {len(found)} sources; name a folder.")
    if len(kinds) > 1:
        raise InputError(f"--output {output}: {' and '.join(kinds)} need a folder.")
    if kinds[0] == "png":
        raise InputError(f"--output {output}: pictures of masks need a folder.")
    require_ending(kinds[0], output)
    return Task(found[0], {kinds[0]: output})


def _into_folder(entry: Found, output: Path | None, kinds: Sequence[str]) -> Task:
    if output is None:
        base = entry.source.resolve().parent if entry.source.is_dir() else entry.source.parent
        place = base / entry.relative.name
    else:
        place = output / entry.relative
    return Task(entry, {kind: place.with_name(place.name + ENDINGS[kind]) for kind in kinds})


def _refuse_clashes(tasks: list[Task]) -> None:
    sources = {task.source.resolve() for task in tasks}
    taken: dict[Path, Found] = {}
    for task in tasks:
        for output in task.outputs.values():
            if output.resolve() in sources:
                raise InputError(f"{output}: is the source itself; choose another --output.")
            other = taken.setdefault(output, task.found)
            if other != task.found:
                if task.found.live:  # what tells them apart may be in the query, which is not shown
                    advice = "Segment each by itself, with an --output of its own."
                else:
                    advice = "Segment them in two goes, or rename one."
                both = f"{other.name} and {task.found.name}"
                raise InputError(f"{both} would both be written to {output}. {advice}")


def _without_results(found: list[Found]) -> list[Found]:
    names = {(entry.source.parent, entry.relative.name) for entry in found}
    return [entry for entry in found if not _is_result(entry, names)]


def _is_result(entry: Found, names: set[tuple[Path, str]]) -> bool:
    """Whether a source's name is that of a result of another source beside it."""
    for kind, ending in ENDINGS.items():
        if kind == "png" and not entry.pictures:
            continue
        added, name = ending.removesuffix(Path(ending).suffix), entry.relative.name
        if name.endswith(added) and (entry.source.parent, name.removesuffix(added)) in names:
            return True
    return False
