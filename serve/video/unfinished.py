"""Which results of a video `--resume` has still to write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .outputs import ENDINGS
from .work import WorkFolder, work_path


def unfinished(outputs: Mapping[str, Path]) -> dict[str, Path]:
    """Those that are not there, and those of which an interrupted call has left the beginning.

    A journal stands beside the first result of its call; so its own comes first here, to be found.

    Args:
        outputs: kind of result → file or folder.
    """
    begun: list[str] = []
    for kind, output in outputs.items():
        place = work_path(output)
        if WorkFolder.can_resume(place):
            begun += [kind, *(WorkFolder.states_in(place) or outputs)]
    missing = [k for k, output in outputs.items() if not output.exists() or _is_begun(k, output)]
    return {kind: outputs[kind] for kind in (*begun, *missing) if kind in outputs}


def _is_begun(kind: str, output: Path) -> bool:
    """Whether a call that was to write more kinds than are named now has left it unfinished."""
    name = output.name.removesuffix(ENDINGS[kind])
    places = [work_path(output.with_name(name + ending)) for ending in ENDINGS.values()]
    return any(kind in WorkFolder.states_in(place) for place in places)
