"""What has to be on the disk, and not only on its way there, before something else is said."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path


def settle(folder: Path) -> None:
    """Let all that was written below `folder` survive a pulled plug.

    Its whole file system is written out at once (`syncfs`): for hundreds of pictures that is a
    hundred times as fast as one after the other.

    Raises:
        OSError: the file system could not keep what it had taken.
    """
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:  # not Linux
        os.sync()
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        if syncfs(handle):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(handle)


def settle_entry(path: Path) -> None:
    """The same of one file's content, or of the names in one folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def publish(part: Path, output: Path) -> None:
    """Give a finished file or folder its name, once all of it is on the disk.

    Raises:
        OSError: the file system refuses.
    """
    if part.is_dir():
        settle(part)
    else:
        settle_entry(part)
    part.replace(output)
    settle_entry(output.parent)
