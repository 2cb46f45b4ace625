"""`cfcontra-eval` as its user calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from cfcontra.export import cli as export_cli
from cfcontra.train import cli


@pytest.fixture
def place(
    tmp_path: Path, make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "dusk", frames=4)
    return tmp_path


def evaluate(model: Path, *more: str) -> int:
    return cli.evaluate([str(model), "--data", "folder:dusk", "--device", "cpu", "--quiet", *more])


def test_all_outputs(place: Path, model_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = ("--json", "s.json", "--html", "s.html", "--confusion", "c.png")
    assert evaluate(model_file, *outputs) == 0
    shown = capsys.readouterr().out
    assert "mIoU" in shown and "calibration error (ECE)" in shown
    content = json.loads((place / "s.json").read_text())
    assert np.array(content["confusion"]).shape == (11, 11)
    hits = np.diag(content["confusion"]).sum() / np.sum(content["confusion"])
    assert content["pixel_accuracy"] == pytest.approx(hits, abs=1e-5)
    assert 0 <= content["calibration"]["ece"] <= 1
    page = (place / "s.html").read_text()
    assert "http://" not in page and "https://" not in page
    assert f"{100 * content['miou']:.2f}" in page
    assert cv2.imread("c.png") is not None
    assert evaluate(model_file, *outputs) == 2
    assert "exists already" in capsys.readouterr().err
    assert evaluate(model_file, *outputs, "--overwrite") == 0


def test_averaging_and_its_absence_in_exported_files(
    place: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--scales", "0.75,1", "--flip", "--window", "40x50", "--json", "a.json")
    assert evaluate(model_file, *options) == 0
    assert "scales 0.75, 1; mirrored too; windows 40x50" in (place / "a.json").read_text()
    assert export_cli.main([str(model_file), "--output", "m.onnx", "--quiet"]) == 0
    capsys.readouterr()
    assert evaluate(Path("m.onnx")) == 0
    assert evaluate(Path("m.onnx"), "--flip") == 2
    assert "no probabilities that could be averaged" in capsys.readouterr().err


def test_without_labels_none_is_opened_and_both_kinds_of_model_say_the_same(
    place: Path, model_file: Path, opened_files: list[str]
) -> None:
    assert export_cli.main([str(model_file), "--output", "m.onnx", "--quiet"]) == 0
    found = []
    opened_files.clear()
    for model in (model_file, Path("m.onnx")):
        options = ("--unlabelled", "--json", "u.json", "--html", "u.html", "--overwrite")
        assert evaluate(model, *options) == 0
        found.append(json.loads((place / "u.json").read_text()))
        assert "https://" not in (place / "u.html").read_text()
    assert not [path for path in opened_files if "dusk/labels" in path]
    for content in found:
        assert set(content["label_free"]) == {"confidence", "consistency", "mixing"}
        assert sum(content["class_share"].values()) == pytest.approx(1, abs=1e-4)
    for name, value in found[0]["label_free"].items():
        assert found[1]["label_free"][name] == pytest.approx(value, abs=0.02)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scales", "big"), "--scales big: give numbers"),
        (("--scales", "0"), "give factors from"),
        (("--window", "512"), "such as 512x1024"),
        (("--window", "8x8", "--overlap", "1"), "less than 1"),
        (("--unlabelled", "--confusion", "c.png"), "no confusion matrix without labels"),
        (("--html", "dusk"), "dusk"),
    ],
)
def test_bad_options(
    place: Path,
    model_file: Path,
    options: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert evaluate(model_file, *options) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")
