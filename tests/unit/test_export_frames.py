"""Whose labels count when a file is certified, and whose are refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from cfcontra.errors import InputError
from cfcontra.export.frames import load_frames
from cfcontra.label_space import LABEL_SPACES

Make = Callable[..., Path]


def labels_of(spec: str, space: str = "camvid11") -> list[bool]:
    return [sample.label is not None for sample in load_frames([spec], 3, LABEL_SPACES[space])]


@pytest.fixture
def folder(make_folder: Make, tmp_path: Path) -> Path:
    return make_folder(tmp_path / "day")


def test_labels_that_are_there_are_read(folder: Path) -> None:
    assert labels_of(f"folder:{folder}") == [True] * 3


def test_data_without_labels_needs_none(
    make_folder: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bare = make_folder(tmp_path / "bare", labelled=False)
    (tmp_path / "camvid").mkdir()
    (bare / "images").rename(tmp_path / "camvid" / "test")  # its testannot/ was left out
    for spec in (f"folder:{tmp_path}/camvid/test", f"camvid:{tmp_path}/camvid,split=test"):
        assert labels_of(spec) == [False] * 3
    assert labels_of("streets:noon,size=64x96") == [False] * 3  # of other classes, by design
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def _one_label_less(folder: Path) -> None:
    (folder / "labels" / "001.png").unlink()


def _labels_of_other_names(folder: Path) -> None:
    for path in (folder / "labels").iterdir():
        path.rename(path.with_name(f"label_{path.name}"))


def _pictures_beside_labels(folder: Path) -> None:
    for path in (folder / "images").iterdir():
        path.rename(folder / path.name)
    (folder / "images").rmdir()


def _no_picture(folder: Path) -> None:
    (folder / "labels" / "001.png").write_text("none")


def _other_classes(folder: Path) -> None:
    (folder / "label_space.yaml").write_text(
        "name: mine\nclasses: [road, moon]\ncolors: [[0, 0, 0], [1, 1, 1]]\n"
    )


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_one_label_less, "001.png: has no label"),
        (_labels_of_other_names, "3 of 3 pictures have none"),
        (_pictures_beside_labels, "has no images/ folder"),
        (_no_picture, "not a readable label picture"),
        (_other_classes, "'mine' has no"),
    ],
)
def test_damaged_labels_are_not_passed_over(
    folder: Path, damage: Callable[[Path], None], says: str
) -> None:
    damage(folder)
    with pytest.raises(InputError, match=says):
        labels_of(f"folder:{folder}")


def test_labels_of_other_classes_are_told_of(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "images").rename(folder / "val")
    (folder / "labels").rename(folder / "valannot")
    spec = f"camvid:{folder},split=val"
    assert labels_of(spec, "camvid11") == [True] * 3
    assert caplog.text == ""
    assert labels_of(spec, "cityscapes19") == [False] * 3
    assert f"mIoU is not measured: {spec}: " in caplog.text
    assert "'camvid11' has no" in caplog.text
