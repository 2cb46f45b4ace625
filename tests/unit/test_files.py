from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from cfcontra.errors import InputError
from cfcontra.files import (
    atomic_path,
    atomic_write_text,
    prepare_output,
    prepare_output_folder,
    refusals,
)


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stop")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as stream:
            stream.write(data[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"a\.txt: no space left on the device"):
        atomic_write_text(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_outputs_are_checked_before_the_work(tmp_path: Path) -> None:
    prepare_output(tmp_path / "new" / "deep" / "a.txt", overwrite=False)
    assert list((tmp_path / "new" / "deep").iterdir()) == []
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match="--overwrite"):
        prepare_output(tmp_path / "a.txt", overwrite=False)
    prepare_output(tmp_path / "a.txt", overwrite=True)
    with pytest.raises(InputError, match="is a folder"):
        prepare_output(tmp_path, overwrite=True)
    with pytest.raises(InputError, match="cannot be written"):
        prepare_output_folder(tmp_path / "a.txt" / "below")


def test_a_reader_who_has_gone_is_no_refusal() -> None:
    with pytest.raises(InputError, match=r"out: cannot be written"), refusals(Path("out")):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    with pytest.raises(BrokenPipeError), refusals(Path("standard output")):
        raise BrokenPipeError
