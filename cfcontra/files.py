"""Writing files so that nothing is lost or left half-written."""

from __future__ import annotations

import errno
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cfcontra.errors import InputError, system_reason


def describe_os_error(error: OSError, path: Path) -> str:
    """One line for the user: what happened to which path, and what to do."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"{path}: no space left on the device. Free some, or choose another output place."
    reason = system_reason(error)
    return f"{path}: cannot be written ({reason}). Choose another output place or fix its rights."


def prepare_output(path: Path, overwrite: bool) -> None:
    """Make sure that `path` can be written before any work is done for it.

    Creates the parent folders.

    Raises:
        InputError: the path is a folder, exists without `overwrite`, or its folder
            cannot be created or written.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file.")
    if path.exists() and not overwrite:
        raise InputError(f"{path}: exists already. Use --overwrite to replace it.")
    prepare_output_folder(path.parent)


def prepare_output_folder(folder: Path) -> None:
    """Create `folder` and make sure that files can be written into it.

    Raises:
        InputError: it cannot be created or written.
    """
    with refusals(folder):
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{secrets.token_hex(4)}"
        probe.touch(exist_ok=False)
        probe.unlink()


@contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Within the block, what the file system refuses is an error of `path`.

    A reader who has gone away (`BrokenPipeError`) is none.

    Raises:
        InputError: the file system refuses (full disk, rights).
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise InputError(describe_os_error(error, path)) from error


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it into place on success.

    On any exception the temporary file is removed and whatever stood at `path`
    stays untouched.

    Raises:
        InputError: the file system refuses (full disk, rights).
    """
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        with refusals(path):
            yield temporary
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def atomic_write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def atomic_write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    atomic_write_bytes(path, text.encode("utf-8"))


def atomic_write_torch(path: Path, content: Any) -> None:
    """Write `content` to `path` as `torch.save` does, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    import torch

    with atomic_path(path) as temporary:
        try:
            # Opened here, so that a full disk's half of a file is closed before it is removed:
            # until then its space is not free for what else is to be ended.
            with temporary.open("wb") as stream:
                torch.save(content, stream)
        except RuntimeError as error:  # torch reports a full disk in its own words
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise InputError(
                f"{path}: cannot be written ({str(error).splitlines()[0]}). Is the disk full?"
            ) from error
