"""The folder of a video's unfinished results, and the journal that lets a later process go on."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from cfcontra.errors import InputError
from cfcontra.files import atomic_path, refusals

from .durable import settle, settle_entry
from .memory import Memory
from .source import Mark

_LOG = logging.getLogger(__name__)
_JOURNAL, _LOCK = "journal.json", "lock"
_MEMORIES = ("memory-a.npz", "memory-b.npz")  # the journal names the one that belongs to it
_VERSION = 2


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
        once: whether the source comes but once. What a process has left of it that was killed
            is set aside then, not removed.

    Attributes:
        path: the folder.
        mark: how far an earlier process came, None for a new start.
        memory: what it remembered there.

    Raises:
        InputError: another process writes there, the settings differ, or the folder cannot
            be made.
    """

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, Any],
        resume: bool = False,
        keep: bool = False,
        once: bool = False,
    ) -> None:
        self.path = path
        self._keep = keep
        self.mark: Mark | None = None
        self.memory: Memory = {}
        self._memory: str | None = None
        self._states: dict[str, dict[str, Any]] = {}
        self._settings = json.loads(json.dumps(settings))
        self._claim()
        try:
            if resume:
                self._read()
            if self.mark is None:
                if once and self._holds_something():
                    place = self.set_aside()
                    _LOG.warning("%s: holds what an earlier recording has left.", place)
                    self._claim()
                self._clear()
        except BaseException:
            self._let_go()
            raise

    @staticmethod
    def states_in(path: Path) -> Mapping[str, Any]:
        """What was said at an earlier process's mark, empty where it left nothing to read."""
        try:
            return dict(json.loads((path / _JOURNAL).read_text("utf-8"))["states"])
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    @staticmethod
    def can_resume(path: Path) -> bool:
        """Whether an earlier process has left something to go on with."""
        return (path / _JOURNAL).is_file()

    @classmethod
    def clear_away(cls, path: Path) -> None:
        """Remove what a process has left that was killed while it removed the folder itself."""
        if path.exists():
            with suppress(InputError), cls(path, {}):  # or another is just removing it
                pass

    def state_of(self, sink: str) -> dict[str, Any] | None:
        """What a sink said at `mark`; None for a new start."""
        return None if self.mark is None else self._states.get(sink, {})

    def _claim(self) -> None:
        with refusals(self.path):
            self.path.mkdir(exist_ok=True)
            self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._let_go()
            raise InputError(
                f"{self.path}: another process is writing this result. Wait for it, or choose "
                "another place."
            ) from error

    def _let_go(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    def _holds_something(self) -> bool:
        entries = (entry for entry in self.path.rglob("*") if entry.name != _LOCK)
        return any(entry.is_file() and entry.stat().st_size for entry in entries)

    def set_aside(self) -> Path:
        """Let what was written stay, out of the way of later processes. Ends the work here.

        Returns:
            where it stays: a folder beside the result, `NAME.unfinished/`.
        """
        place = self._free_place()
        try:
            self.path.rename(place)  # as a whole: a full disk may have no room for a new folder
        except OSError:
            place = self.path
        (place / _LOCK).unlink(missing_ok=True)
        self._let_go()
        return place

    def _free_place(self) -> Path:
        name = self.path.name.removeprefix(".").removesuffix(".part")
        tried = (f"{name}.unfinished{f'-{n}' if n > 1 else ''}" for n in count(1))
        return next(p for p in map(self.path.with_name, tried) if not p.exists())

    def _read(self) -> None:
        try:
            journal = json.loads((self.path / _JOURNAL).read_text("utf-8"))
            version, settings = journal["version"], journal["settings"]
            mark, states = Mark(**journal["mark"]), dict(journal["states"])
            name = journal.get("memory")
            memory = {} if name is None else _load(self.path / name)
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
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
        self.mark, self._states, self.memory, self._memory = mark, states, memory, name

    def _clear(self) -> None:
        for entry in self.path.iterdir():
            if entry.name == _LOCK:
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def record(
        self, mark: Mark, states: Mapping[str, dict[str, Any]], memory: Memory | None = None
    ) -> None:
        """Note how far everything is written for good.

        All that lies in the folder is on the disk before the journal says so.

        Args:
            mark: how far.
            states: what each sink needs to go on from there.
            memory: what is remembered there.

        Raises:
            InputError: the disk is full or refuses.
        """
        before, name = self._memory, None
        if memory:
            name = _MEMORIES[before == _MEMORIES[0]]
            with refusals(self.path):
                np.savez_compressed(self.path / name, **memory)  # type: ignore[arg-type]
        journal = {
            "version": _VERSION,
            "settings": self._settings,
            "mark": asdict(mark),
            "states": dict(states),
            "memory": name,
        }
        with atomic_path(self.path / _JOURNAL) as temporary:
            temporary.write_text(json.dumps(journal), "utf-8")
            settle(self.path)
        with refusals(self.path):
            settle_entry(self.path)
            if before is not None and before != name:
                (self.path / before).unlink(missing_ok=True)
        self.mark, self._memory = mark, name

    def close(self, keep: bool) -> None:
        """Let other processes write here; does nothing the second time.

        Args:
            keep: whether the folder stays, if a later process can go on with it.
        """
        if self._lock < 0:
            return
        if not keep or self.mark is None:
            # First, so that no journal is left that speaks of files that are gone.
            (self.path / _JOURNAL).unlink(missing_ok=True)
            shutil.rmtree(self.path, ignore_errors=True)
        self._let_go()

    def __enter__(self) -> WorkFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close(kind is not None and self._keep)


def _load(path: Path) -> Memory:
    if not path.is_file():
        raise ValueError(f"{path.name} is missing")
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)
