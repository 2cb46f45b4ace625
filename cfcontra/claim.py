"""One process at a time writes into a folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cfcontra.errors import InputError
from cfcontra.files import describe_os_error

_NAME = ".lock"


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other processes out of a folder while the block runs.

    The system gives a claim back when its process ends, however it ends. Processes that are
    forked in the block do not hold it.

    Raises:
        InputError: another process writes there, or the folder cannot be written.
    """
    try:
        file = (folder / _NAME).open("w")
    except OSError as error:
        raise InputError(describe_os_error(error, folder)) from error
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{folder}: another process is writing there. Wait for it, or choose another place."
            ) from error
        except OSError as error:  # a file system without locks
            raise InputError(describe_os_error(error, folder)) from error
        try:
            yield
        finally:
            (folder / _NAME).unlink(missing_ok=True)
