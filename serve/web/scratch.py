"""The private folder of uploads and results, which never outlives its server."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from cfcontra.errors import InputError
from cfcontra.files import refusals

_LOCK = "in-use"
_BLOCK = 4096  # bytes that the smallest file takes on a disk


class Scratch:
    """A folder that only this user may open (0700), emptied at the end.

    Of a server that was killed, the folder stays; the next server of this user removes
    it. Which folders belong to living servers, their locks tell.

    Args:
        root: where to make it; None for `cfcontra-UID` in the system's temporary folder.

    Raises:
        InputError: the root belongs to somebody else, is open to others, or cannot be written.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root or Path(tempfile.gettempdir()) / f"cfcontra-{os.getuid()}"
        with refusals(self._root):
            self._root.mkdir(mode=0o700, parents=root is not None, exist_ok=True)
            _check_private(self._root)
            with (self._root / "starting").open("ab") as starting:
                fcntl.flock(starting, fcntl.LOCK_EX)  # or two would remove each other's folders
                _remove_dead(self._root)
                self.path = self._root / f"server-{os.getpid()}-{secrets.token_hex(4)}"
                self.path.mkdir(mode=0o700)
                self._lock = (self.path / _LOCK).open("ab")
                fcntl.flock(self._lock, fcntl.LOCK_EX)

    def folder(self, name: str) -> Path:
        """A folder inside, made when first asked for."""
        made = self.path / name
        made.mkdir(mode=0o700, exist_ok=True)
        return made

    def used(self) -> int:
        """Bytes of all files inside; each, and each folder, counts as a block at least.

        A file with several names, as an upload to the page that a job works on, counts once.
        """
        total, linked = 0, set[int]()
        for folder, folders, names in os.walk(self.path):
            total += len(folders) * _BLOCK
            for name in names:
                with suppress(FileNotFoundError):  # deleted meanwhile
                    found = os.lstat(f"{folder}/{name}")
                    if found.st_nlink > 1:
                        if found.st_ino in linked:
                            continue
                        linked.add(found.st_ino)
                    total += max(found.st_size, _BLOCK)
        return total

    def remove_old(self, name: str, seconds: float) -> None:
        """Delete what has been in a folder for longer than that."""
        oldest = time.time() - seconds
        with os.scandir(self.folder(name)) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # deleted meanwhile
                    if entry.stat(follow_symlinks=False).st_ctime >= oldest:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry, ignore_errors=True)
                    else:
                        Path(entry).unlink()

    def close(self) -> None:
        """Remove the folder and all in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _check_private(root: Path) -> None:
    found = root.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise InputError(f"{root}: is no folder. Remove it, or name another with --scratch.")
    if found.st_uid != os.getuid():
        raise InputError(f"{root}: belongs to another user. Name a folder with --scratch.")
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise InputError(
            f"{root}: is open to other users. Close it (chmod 700), or name another with --scratch."
        )


def _remove_dead(root: Path) -> None:
    """Remove what servers left that no longer run: nobody holds their locks."""
    for folder in root.glob("server-*"):
        try:
            with (folder / _LOCK).open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        except FileNotFoundError:  # killed before it had a lock
            pass
        shutil.rmtree(folder, ignore_errors=True)
