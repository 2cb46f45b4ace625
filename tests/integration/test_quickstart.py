"""The quickstart from end to end, made small: one true path through every command."""

from __future__ import annotations

import re
from pathlib import Path

import av
import pytest
import yaml

from cfcontra import quickstart
from cfcontra.runtime import open_backend
from cfcontra.train.recipe import load_recipe

SMALL = {
    "data": {"work_size": [32, 64], "batch_size": 2, "workers": 0},
    "train": {"steps": 3},
    "adapt": {"steps": 3, "method": "cfcontra", "style": {"name": "image-stats"}},
}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))
    monkeypatch.setattr(quickstart, "RECIPE", str(tmp_path / "small.yaml"))
    monkeypatch.setattr(quickstart, "SOURCE", "streets:noon,size=64x128")
    monkeypatch.setattr(quickstart, "TARGET", "streets:dusk,size=64x128")
    monkeypatch.setattr(quickstart, "_EVALUATED", "split=val,length=4")
    monkeypatch.setattr(quickstart, "_SHOWN", range(2))
    monkeypatch.setattr(quickstart, "_DRIVE_SECONDS", 1)
    monkeypatch.setattr(quickstart, "_DRIVE_SIZE", (64, 128))
    return tmp_path


def test_quickstart(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = small / "out"
    assert quickstart.main(["--folder", str(folder), "--quiet", "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    assert "source-only" in shown and "adapted" in shown and "cfcontra-demo" in shown

    exported = open_backend(folder / "model.onnx", "cpu")
    assert exported.metadata.training["method"] == "cfcontra"
    assert (folder / "model.onnx.certificate.json").is_file()
    with av.open(str(folder / "dusk-drive-segmented.mp4")) as video:
        assert sum(1 for _ in video.decode(video=0)) == 25
    page = (folder / "report.html").read_text()
    assert len(re.findall(r'<img [^>]*src="data:image/', page)) == 2 * 2 * 4
    assert "contrast_target_to_source" in page and "<polyline" in page
    assert not re.search(r'(src|href)="https?:', page)
    assert str(small) not in page
    written = {path.name for path in folder.iterdir()}
    assert written == {*quickstart._RESULTS, quickstart._OWN}


def test_what_another_made_stays_without_overwrite(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[Path] = []

    def begin(folder: Path, *_: object) -> None:
        begun.append(folder)
        (folder / "source").mkdir(exist_ok=True)
        raise quickstart.StepFailedError("train", 7)

    monkeypatch.setattr(quickstart, "_train_and_score", begin)
    monkeypatch.chdir(small)
    runs, usual = Path("runs"), Path("runs/quickstart")
    (runs / "adapted").mkdir(parents=True)
    (usual / "source").mkdir(parents=True)
    before = sorted(small.rglob("*"))
    assert quickstart.main(["--folder", "runs"]) == 2
    error = capsys.readouterr().err
    assert "runs/adapted: exists already" in error and "--overwrite" in error
    assert sorted(small.rglob("*")) == before
    # A folder's first and second time, the usual one with what was there before, and --overwrite.
    for words in (
        ["--folder", "new"],
        ["--folder", "new"],
        [],
        ["--folder", "runs", "--overwrite"],
    ):
        assert quickstart.main(words) == 7
    assert begun == [Path("new"), Path("new"), usual, runs]


def test_a_failing_step_stops_it_with_its_status(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (small / "small.yaml").write_text("adapt: {stepz: 3}")
    assert quickstart.main(["--folder", str(small / "out"), "--quiet"]) == 2
    error = capsys.readouterr().err
    assert "stepz" in error and "quickstart stops here" in error


def test_the_recipe_is_packaged() -> None:
    assert load_recipe(quickstart.RECIPE, "adapt", {}).adapt.method == "cfcontra"
