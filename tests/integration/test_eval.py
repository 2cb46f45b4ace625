"""`cfcontra-eval` as its user calls it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from cfcontra.checkpoint import save_checkpoint
from cfcontra.datasets.cityscapes import TRAIN_IDS
from cfcontra.export import cli as export_cli
from cfcontra.label_space import LABEL_SPACES
from cfcontra.metadata import ModelMetadata
from cfcontra.models import build_model
from cfcontra.preprocessing import Preprocessing
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
    place: Path, model_file: Path, network_once: None, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--scales", "0.75,1", "--flip", "--window", "40x50", "--json", "a.json")
    assert evaluate(model_file, *options) == 0
    assert "scales 0.75, 1; mirrored too; windows 40x50" in (place / "a.json").read_text()
    assert export_cli.main([str(model_file), "--output", "m.onnx", "--quiet"]) == 0
    capsys.readouterr()
    assert evaluate(Path("m.onnx")) == 0
    assert evaluate(Path("m.onnx"), "--flip") == 2
    assert "--outputs mask,confidence,probabilities" in capsys.readouterr().err
    outputs = ("--outputs", "mask,confidence,probabilities", "--overwrite", "--quiet")
    assert export_cli.main([str(model_file), "--output", "m.onnx", *outputs]) == 0
    options = ("--flip", "--window", "40x50", "--json")
    assert evaluate(Path("m.onnx"), *options, "o.json") == 0
    assert evaluate(model_file, *options, "p.json") == 0
    found, expected = (json.loads((place / f"{name}.json").read_text()) for name in "op")
    assert found["miou"] == pytest.approx(expected["miou"], abs=0.002)


def test_each_condition_of_acdc_has_its_scores(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space = LABEL_SPACES["cityscapes19"]
    raw = np.array([*TRAIN_IDS], dtype=np.uint8)
    rng = np.random.default_rng(0)
    for condition, frames in (("fog", 1), ("night", 2)):
        for number in range(frames):
            label = rng.integers(0, 19, (40, 60))
            stem = f"{condition}/val/GOPR01/GOPR01_frame_{number:06d}"
            files = {
                f"rgb_anon/{stem}_rgb_anon.png": space.palette()[label][..., ::-1],
                f"gt/{stem}_gt_labelIds.png": raw[label],
            }
            for name, pixels in files.items():
                (tmp_path / "acdc" / name).parent.mkdir(parents=True, exist_ok=True)
                assert cv2.imwrite(str(tmp_path / "acdc" / name), pixels)
    for condition in ("rain", "snow"):
        (tmp_path / f"acdc/rgb_anon/{condition}").mkdir()
    torch.manual_seed(0)
    network = build_model("light", 19)
    metadata = ModelMetadata(space, Preprocessing((32, 48)), network.config())
    save_checkpoint(tmp_path / "m.pt", network, metadata)
    command = ["m.pt", "--data", "acdc:acdc,split=val", "--device", "cpu", "--quiet"]
    assert cli.evaluate([*command, "--json", "s.json", "--html", "s.html"]) == 0
    shown = capsys.readouterr().out
    found = json.loads((place / "s.json").read_text())
    assert {name: part["frames"] for name, part in found["conditions"].items()} == {
        "fog": 1,
        "night": 2,
    }
    page = (place / "s.html").read_text()
    assert "<th>fog</th><th>night</th>" in page
    for condition, part in found["conditions"].items():
        command[2] = f"acdc:acdc,split=val,condition={condition}"
        assert cli.evaluate([*command, "--json", f"{condition}.json"]) == 0
        alone = json.loads((place / f"{condition}.json").read_text())
        assert part["miou"] == alone["miou"] and part["class_iou"] == alone["class_iou"]
        assert re.search(rf"{condition} .*{100 * part['miou']:.2f}", shown)
        assert f"<td>{100 * part['miou']:.2f}</td>" in page


def test_video_without_labels_says_how_it_can_be_looked_at(
    place: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.evaluate([str(model_file), "--data", "video:drive.mp4", "--quiet"]) == 2
    assert "--unlabelled" in capsys.readouterr().err


def test_without_labels_none_is_opened_and_both_kinds_of_model_say_the_same(
    place: Path, model_file: Path, network_once: None, opened_files: list[str]
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
