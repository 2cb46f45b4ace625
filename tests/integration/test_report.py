"""A run's report: written at its end, and again from its folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cfcontra.train import cli

RECIPE = {
    "label_space": "camvid11",
    "data": {"work_size": [32, 48], "batch_size": 2, "workers": 0},
    "adapt": {"steps": 3, "method": "cfcontra", "ema": 0.9},
    "train": {"steps": 2},
}


@pytest.fixture
def place(make_place: Callable[..., Path], model_file: Path) -> Path:
    place = make_place(RECIPE)
    shutil.copy(model_file, place / "first.pt")
    return place


def adapt(run: str, *more: str) -> int:
    return cli.adapt(
        [
            *("--recipe", "small.yaml", "--source", "folder:day", "--target", "folder:dusk"),
            *("--run", run, "--quiet", "--device", "cpu", *more),
        ]
    )


def read(run: str) -> str:
    return (Path("runs") / run / "report.html").read_text()


def test_without_labels_of_the_target_none_is_opened(place: Path, opened_files: list[str]) -> None:
    opened_files.clear()
    assert adapt("one", "--init", "first.pt") == 0
    assert not [path for path in opened_files if "dusk/labels" in path]
    page = read("one")
    assert "http://" not in page and "https://" not in page
    assert "before: mean confidence" in page and "target: folder:dusk" in page
    assert page.count("<svg") >= 3 and "source prototype" in page
    assert "adapt.ema" in page and "train.steps" not in page


def test_with_validation_labels_classes_are_compared(place: Path) -> None:
    assert adapt("two", "--init", "first.pt", "--val", "folder:dusk") == 0
    page = read("two")
    assert "IoU on the validation data" in page and "truth" in page


def test_a_run_from_random_weights_shows_what_it_became(place: Path) -> None:
    options = ["--recipe", "small.yaml", "--source", "folder:day", "--run", "src", "--quiet"]
    assert cli.train(options) == 0
    page = read("src")
    assert "<span>after</span>" in page and "<span>before</span>" not in page


def test_it_can_be_left_out_and_written_later_where_data_has_moved(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert adapt("three", "--no-report") == 0
    assert not (place / "runs/three/report.html").exists()
    (place / "dusk").rename(place / "moved")
    assert cli.report(["three"]) == 2
    assert "dusk" in capsys.readouterr().err
    assert cli.report(["three", "--target", "folder:moved"]) == 0
    assert "target: folder:moved" in read("three")


@pytest.mark.parametrize("name", ["nowhere", "day"])
def test_no_run_there(place: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.report([f"./{name}"]) == 2
    assert "no finished run" in capsys.readouterr().err
