"""`cfcontra-export --precision auto`: what is tried, and what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from cfcontra.errors import CheckFailedError
from cfcontra.export import auto, exporter
from cfcontra.export.certificate import Thresholds
from cfcontra.export.cli import main

Export = Callable[..., int]


@dataclass
class _Timed:
    p50: float


@pytest.fixture
def export(
    model_file: Path,
    network_once: None,
    tmp_path: Path,
    make_folder: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Export:
    """Run the command, on a machine where the precisions take the milliseconds given."""
    frames = make_folder(tmp_path / "day", frames=2, size=(60, 110))

    def run(
        *more: str, times: dict[str, float], certify: str = "", runtime: str = "onnxruntime"
    ) -> int:
        def measure(cases: Sequence[Any], *arguments: Any) -> list[_Timed]:
            found = [times.get(f"{case.model.stem} {case.runtime}") for case in cases]
            plain = [times[case.model.stem] for case in cases]
            return [_Timed(a or b) for a, b in zip(found, plain, strict=True)]

        monkeypatch.setattr(auto, "measure", measure)
        output = ("--output", str(tmp_path / "out" / "auto.onnx"), "--threads", "1")
        specs = ("--certify", certify or f"folder:{frames}", "--calibrate", f"folder:{frames}")
        where = ("--runtime", runtime) if runtime else ()
        return main([str(model_file), *output, *specs, *where, "--precision", "auto", *more])

    return run


def kept(tmp_path: Path) -> dict[str, Any]:
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "auto.onnx",
        "auto.onnx.certificate.json",
    ]
    content: dict[str, Any] = json.loads((out / "auto.onnx.certificate.json").read_text())
    return content


def test_the_fastest_within_the_budget_is_kept(
    export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export("--max-drop", "100", times={"fp32": 9.0, "int8": 3.0}) == 0
    said = capsys.readouterr().out
    assert "3.0 ms" in said and "chosen" in said and "int8)" in said
    content = kept(tmp_path)
    assert content["precision"] == "int8"
    assert [(row["precision"], row["verdict"]) for row in content["tried"]] == [
        ("fp32", "slower"),
        ("int8", "chosen"),
    ]


def test_every_runtime_is_tried(
    export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("openvino")
    times = {"fp32": 9.0, "int8": 8.0, "int8 openvino": 2.0}
    assert export("--max-drop", "100", times=times, runtime="") == 0
    said = capsys.readouterr().out
    assert "--runtime openvino\n" in said
    content = kept(tmp_path)
    assert content["precision"] == "int8"
    rows = {(row["precision"], row["runtime"]): row for row in content["tried"]}
    assert set(rows) == {
        (precision, runtime)
        for precision in ("fp32", "int8")
        for runtime in ("onnxruntime", "openvino", "openvino-bf16")
    }
    assert rows["int8", "openvino"]["verdict"] == "chosen"
    assert str(tmp_path) not in json.dumps(content)


def test_the_picture_of_a_failure_stays(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "THRESHOLDS", dict.fromkeys(("fp32", "int8"), Thresholds(2.0)))
    assert export(times={}) == 3
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["auto.onnx.worst.png"]


def test_a_slower_int8_is_not_taken(export: Export, tmp_path: Path) -> None:
    assert export("--max-drop", "100", times={"fp32": 3.0, "int8": 9.0}) == 0
    assert kept(tmp_path)["precision"] == "fp32"


def test_a_loss_beyond_the_budget_is_not_taken(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "_drop", lambda c: 0.7 * (c.record["precision"] == "int8"))
    assert export(times={"fp32": 9.0, "int8": 3.0}) == 0
    content = kept(tmp_path)
    assert content["precision"] == "fp32"
    assert content["tried"][1]["verdict"] == "loses more than 0.5 points"


def test_a_precision_that_fails_its_certificate_is_passed_over(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = auto.export_model

    def failing(*arguments: Any, **options: Any) -> Any:
        if options["precision"] == "int8":
            options["picture"].write_bytes(b"of the worst frames")
            raise CheckFailedError("x.onnx: not written, because it departs")
        return honest(*arguments, **options)

    monkeypatch.setattr(auto, "export_model", failing)
    assert export(times={"fp32": 9.0}) == 0
    content = kept(tmp_path)
    assert content["tried"][0] == {
        "precision": "int8",
        "runtime": "onnxruntime",
        "milliseconds": None,
        "drop": None,
        "verdict": "not written, because it departs",
    }


def test_nothing_within_the_budget(
    export: Export,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(auto, "_drop", lambda certificate: 3.0)
    assert export(times={"fp32": 9.0, "int8": 3.0}) == 3
    assert "loses more than 0.5 points" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("more", "certify", "says"),
    [
        (("--max-drop", "-1"), "", "give 0 or more points"),
        (("--max-drop", "nan"), "", "give 0 or more points"),
        ((), "streets:noon,size=64x96", "no labels in the model's label space"),
        (("--output", "auto.bin"), "", "must end in .onnx"),
        (("--precision", "fp32", "--max-drop", "1"), "", "for --precision auto alone"),
    ],
)
def test_bad_arguments(
    export: Export,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    certify: str,
    says: str,
) -> None:
    assert export(*more, times={}, certify=certify) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("more", [(), ("--size", "8x8")])
def test_labels_that_say_nothing(
    export: Export,
    tmp_path: Path,
    make_folder: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
) -> None:
    """All are ignored; or all but one pixel, which is lost at the file's size."""
    night = make_folder(tmp_path / "night", frames=1, size=(60, 110))
    label = np.full((60, 110), 255, np.uint8)
    label[1, 1] = 0 if more else 255
    cv2.imwrite(str(night / "labels" / "000.png"), label)
    assert export(*more, times={}, certify=f"folder:{night}") == 2
    assert "or all of it is ignored" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_without_frames_to_judge_by(
    model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [str(model_file), "--output", str(tmp_path / "a.onnx"), "--precision", "auto"]
    assert main(argv) == 2
    assert "--precision auto needs --calibrate SPEC" in capsys.readouterr().err
