"""A run's report: written at its end, and again from its folder."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cfcontra.checkpoint import load_checkpoint
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
    maps = re.findall(r'<svg[^>]*aria-label="(?:before|after)".*?</svg>', page)
    stars = [re.findall(r'<path d="([^"]*)"', drawn) for drawn in maps]
    assert len(maps) == 2 and stars[0] and stars[0] == stars[1]  # the banks, in one plane
    assert "with its banks" in page and "source prototype" in page and "target prototype" in page
    assert "adapt.ema" in page and "train.steps" not in page


@pytest.mark.parametrize("method", ["minent", "source-only"])
def test_without_banks_the_prototypes_are_those_of_the_model_file(place: Path, method: str) -> None:
    assert adapt("plain", "--init", "first.pt", "--method", method) == 0
    kept = load_checkpoint(place / "runs/plain/model.pt").known_prototypes()
    page = read("plain")
    maps = re.findall(r'<svg[^>]*aria-label="(?:before|after)".*?</svg>', page)
    assert kept is not None and [drawn.count("<path") for drawn in maps] == [len(kept)] * 2
    assert "class prototypes of the model file" in page and "★ prototype" in page


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
