"""The folder of a video's unfinished results, and the journal that lets a later process go on."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cfcontra.errors import InputError
from cfcontra.files import atomic_write_text, refusals

from .source import Mark

_JOURNAL, _LOCK = "journal.json", "lock"
_VERSION = 1


def work_path(output: Path) -> Path:
    """Where the unfinished results of a video stand, by its first output."""
    return output.with_name(f".{output.name}.part")


class WorkFolder:
    """Holds what is not finished yet, beside the results: `.NAME.part/`.

    It is locked for as long as a process writes in it; the lock ends with the process. Leaving
    the `with` block removes the folder, unless an exception ends it that `keep` is for.

    Args:
        path: the folder, created.
        settings: everything that decides what is written, as plain data. Unfinished results
            of other settings are not gone on with.
        resume: whether to go on with what is there; otherwise it is removed.
        keep: whether the folder stays when something goes wrong, if a later process can go on
            with it.

    Attributes:
        path: the folder.
        mark: how far an earlier process came, None for a new start.

    Raises:
        InputError: another process writes there, the settings differ, or the folder cannot
            be made.
    """

    def __init__(
        self, path: Path, settings: Mapping[str, Any], resume: bool = False, keep: bool = False
    ) -> None:
        self.path = path
        self._keep = keep
        self.mark: Mark | None = None
        self._states: dict[str, dict[str, Any]] = {}
        self._settings = json.loads(json.dumps(settings))
        with refusals(path):
            path.mkdir(exist_ok=True)
            self._lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._claim()
            if resume:
                self._read()
            if self.mark is None:
                self._clear()
        except BaseException:
            os.close(self._lock)
            raise

    @staticmethod
    def can_resume(path: Path) -> bool:
        """Whether an earlier process has left something to go on with."""
        return (path / _JOURNAL).is_file()

    def state_of(self, sink: str) -> dict[str, Any] | None:
        """What a sink said at `mark`; None for a new start."""
        return None if self.mark is None else self._states.get(sink, {})

    def _claim(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{self.path}: another process is writing this result. Wait for it, or choose "
                "another --output."
            ) from error

    def _read(self) -> None:
        try:
            journal = json.loads((self.path / _JOURNAL).read_text("utf-8"))
            version, settings = journal["version"], journal["settings"]
            mark, states = Mark(**journal["mark"]), dict(journal["states"])
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.path / _JOURNAL}: cannot be read ({error}). Leave --resume out to start "
                "over."
            ) from error
        differing = [key for key in self._settings if settings.get(key) != self._settings[key]]
        if version != _VERSION or differing:
            what = ", ".join(differing) or "the version of cfcontra"
            raise InputError(
                f"{self.path}: the interrupted run differs from this one in {what}. Use the same "
                "settings, or leave --resume out to start over."
            )
        self.mark, self._states = mark, states

    def _clear(self) -> None:
        for entry in self.path.iterdir():
            if entry.name == _LOCK:
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def record(self, mark: Mark, states: Mapping[str, dict[str, Any]]) -> None:
        """Note how far everything is written for good.

        Raises:
            InputError: the disk is full or refuses.
        """
        journal = {
            "version": _VERSION,
            "settings": self._settings,
            "mark": asdict(mark),
            "states": dict(states),
        }
        atomic_write_text(self.path / _JOURNAL, json.dumps(journal))
        self.mark = mark

    def __enter__(self) -> WorkFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or not self._keep or self.mark is None:
            # First, so that no journal is left that speaks of files that are gone.
            (self.path / _JOURNAL).unlink(missing_ok=True)
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)
