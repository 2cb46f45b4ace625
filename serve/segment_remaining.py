"""What of a job `--resume` has still to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .video.job import Task


def without_finished(tasks: Sequence[Task], say: Callable[[str], None]) -> list[Task]:
    """The tasks, each less the results that earlier calls have finished."""
    rest = [replace(task, outputs=_unfinished(task.outputs, say)) for task in tasks]
    return [task for task in rest if task.outputs]


def _unfinished(outputs: dict[str, Path], say: Callable[[str], None]) -> dict[str, Path]:
    from .video.unfinished import unfinished
    from .video.work import WorkFolder, work_path

    rest = unfinished(outputs)
    finished = [output for kind, output in outputs.items() if kind not in rest]
    for output in finished:
        WorkFolder.clear_away(work_path(output))
    if finished:
        say(f"{', '.join(map(str, finished))}: done already; --overwrite makes it anew")
    return rest


def without_looked_through(
    tasks: Sequence[Task], hard_frames: Path | None, say: Callable[[str], None]
) -> list[Task]:
    """The tasks of a job without results, less those whose hard frames were looked for before.

    Args:
        hard_frames: the folder they go to; None for a job that looks for none.
    """
    if hard_frames is None or all(task.found.live for task in tasks):
        return list(tasks)
    from .video.hard_frames import HardFrames

    done = HardFrames.sources_done(hard_frames)
    rest = []
    for task in tasks:
        if not task.found.live and task.found.name in done:
            say(f"{task.found.name}: done already")
        else:
            rest.append(task)
    return rest
