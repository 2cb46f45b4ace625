"""A label space of one's own, from the YAML file to what an exported file says of itself."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import yaml

from cfcontra.checkpoint import load_checkpoint
from cfcontra.export import cli as export_cli
from cfcontra.metadata import METADATA_KEY
from cfcontra.train import cli

RAW = np.array([3, 7, 40], dtype=np.uint8)
SPACE = {
    "name": "yard",
    "classes": ["ground", "crane", "container"],
    "colors": [[90, 90, 90], [250, 200, 0], [20, 60, 160]],
    "raw_ids": {"3": 0, "7": 1, "40": 2, "0": 255},
    "subsets": {"things": ["crane", "container"]},
}
RECIPE = {
    "label_space": "yard.yaml",
    "data": {"work_size": [32, 64], "batch_size": 2, "workers": 0},
    "train": {"steps": 2},
    "adapt": {"steps": 2, "method": "cfcontra"},
}


def yard(root: Path, seed: int) -> None:
    """Three frames whose labels hold raw ids, a border of them without a class."""
    rng = np.random.default_rng(seed)
    for number in range(3):
        blocks = rng.integers(3, size=(4, 6), dtype=np.uint8)
        label = cv2.resize(blocks, (60, 40), interpolation=cv2.INTER_NEAREST)
        image = np.array(SPACE["colors"], dtype=np.uint8)[label]
        ids = RAW[label]
        ids[:2] = 0
        for name, pixels in (("images", image[..., ::-1]), ("labels", ids)):
            (root / name).mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(root / name / f"{number}.png"), pixels)


def test_from_the_file_to_the_exported_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "yard.yaml").write_text(yaml.safe_dump(SPACE))
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(RECIPE))
    yard(tmp_path / "day", 0)
    yard(tmp_path / "night", 1)
    common = ("--recipe", "small.yaml", "--source", "folder:day", "--device", "cpu", "--quiet")
    assert cli.train([*common, "--run", "src", "--no-report"]) == 0
    more = ("--target", "folder:night", "--val", "folder:night", "--init", "runs/src/model.pt")
    assert cli.adapt([*common, *more, "--run", "ad"]) == 0
    assert "crane" in (tmp_path / "runs/ad/report.html").read_text()
    model = Path("runs/ad/model.pt")
    assert load_checkpoint(model).metadata.label_space.to_dict() == SPACE

    options = ("--output", "m.onnx", "--certify", "folder:night", "--threads", "1", "--quiet")
    assert export_cli.main([str(model), *options]) == 0
    entries = {entry.key: entry.value for entry in onnx.load("m.onnx").metadata_props}
    assert json.loads(entries[METADATA_KEY])["label_space"] == SPACE

    found = []
    for name in (str(model), "m.onnx"):
        command = [name, "--data", "folder:night", "--json", "s.json", "--overwrite", "--quiet"]
        assert cli.evaluate(command) == 0
        assert "mIoU, things" in capsys.readouterr().out
        found.append(json.loads((tmp_path / "s.json").read_text()))
    for scores in found:
        assert [*scores["class_iou"]] == SPACE["classes"]
        assert np.sum(scores["confusion"]) == 3 * 38 * 60  # the border counts nowhere
        pair = [scores["class_iou"][name] or 0.0 for name in ("crane", "container")]
        assert scores["subsets"]["things"] == pytest.approx(np.mean(pair), abs=1e-5)
    assert found[1]["miou"] == pytest.approx(found[0]["miou"], abs=0.002)
