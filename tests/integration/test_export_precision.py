"""`cfcontra-export --precision`: what it writes, needs, and catches."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from video_clips import make_clip

from cfcontra.checkpoint import load_checkpoint, save_checkpoint
from cfcontra.export import exporter
from cfcontra.export.cli import main
from cfcontra.export.precisions import Converted
from cfcontra.runtime import open_backend

Export = Callable[..., int]


def test_int8(
    export: Export,
    tmp_path: Path,
    frames: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = f"folder:{frames}"
    assert export("--precision", "int8", "--calibrate", spec, "--calibrate-frames", "2") == 0
    assert "int8)" in capsys.readouterr().out
    path = tmp_path / "out.onnx"
    certificate = json.loads((tmp_path / "out.onnx.certificate.json").read_text())
    assert certificate["passed"] and certificate["precision"] == "int8"
    assert certificate["agreement"] >= 0.98
    assert certificate["calibration"]["frames"] == 2
    assert certificate["thresholds"]["agreement"] == 0.98
    nodes = [node.op_type for node in onnx.load(path).graph.node]
    heavy = nodes.count("Conv") - len(certificate["float_layers"])
    assert heavy > 0 and nodes.count("DequantizeLinear") > heavy
    script = (
        "import sys, numpy, onnxruntime\n"
        "session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])\n"
        "frames = numpy.zeros((2, 33, 51, 3), numpy.uint8)\n"
        "mask, confidence = session.run(['mask', 'confidence'], {'frames': frames})\n"
        "assert mask.shape == confidence.shape == (2, 33, 51) and mask.dtype == numpy.uint8\n"
        "assert 'cfcontra' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)


def test_int8_from_the_target_itself_opens_no_labels(
    export: Export,
    make_folder: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
    opened_files: list[str],
    tmp_path: Path,
) -> None:
    target = tmp_path_factory.mktemp("target")
    make_folder(target / "dusk", frames=2, size=(60, 110))
    make_clip(target / "drive.mp4")
    given = ("--calibrate", f"folder:{target / 'dusk'}", "--calibrate", f"video:{target}/*.mp4")
    assert export("--precision", "int8", *given, "--calibrate-frames", "4") == 0
    opened = [Path(path) for path in opened_files if path.startswith(str(target))]
    assert {path.parent.name for path in opened} == {"images"}  # PyAV opens the clip by itself
    certificate = json.loads((tmp_path / "out.onnx.certificate.json").read_text())
    assert certificate["calibration"]["frames"] == 4


def test_a_runtime_that_rounds_is_certified_beside_the_file(
    export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    openvino = pytest.importorskip("openvino")
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("a CPU without bf16")
    assert export("--runtime", "openvino-bf16") == 0
    assert "openvino-bf16: " in capsys.readouterr().out
    certificate = json.loads((tmp_path / "out.onnx.certificate.json").read_text())
    assert certificate["agreement"] >= 0.9999 and certificate["runtime"].startswith("onnxruntime")
    assert 0.98 <= certificate["runtimes"]["openvino-bf16"]["agreement"] <= 1.0


def test_a_runtime_that_is_not_there_is_refused_before_the_work(
    export: Export,
    frames: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    opened_files: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)  # as if it were not installed
    given = ("--precision", "int8", "--calibrate", f"folder:{frames}")
    assert export("--runtime", "openvino", *given) == 2
    assert "pip install 'cfcontra[openvino]'" in capsys.readouterr().err
    assert not [path for path in opened_files if path.startswith(str(frames))]
    assert not list(tmp_path.iterdir())


def test_fp16(export: Export, tmp_path: Path, model_file: Path) -> None:
    assert export("--precision", "fp16") == 0
    path = tmp_path / "out.onnx"
    certificate = json.loads((tmp_path / "out.onnx.certificate.json").read_text())
    assert certificate["precision"] == "fp16" and certificate["agreement"] >= 0.998
    assert certificate["float_layers"] == []
    assert path.stat().st_size < 0.55 * sum(
        value.numel() * 4 for value in load_checkpoint(model_file).model.state_dict().values()
    )
    frame = np.random.default_rng(0).integers(0, 256, (1, 50, 70, 3), dtype=np.uint8)
    assert open_backend(path, "cpu", 1).predict(frame).mask.shape == (1, 50, 70)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_frame_scores_stay_near_the_checkpoints(
    model_file: Path, frames: Path, tmp_path: Path, precision: str
) -> None:
    checkpoint = load_checkpoint(model_file)
    torch.manual_seed(0)
    prototypes = torch.nn.functional.normalize(torch.randn(11, 96), dim=1)
    path = tmp_path / "scored.pt"
    save_checkpoint(path, checkpoint.model, checkpoint.metadata, prototypes)
    outputs = ("--outputs", "mask,confidence,frame_scores")
    specs = ("--certify", f"folder:{frames}", "--calibrate", f"folder:{frames}")
    assert main([str(path), *outputs, *specs, "--precision", precision, "--threads", "1"]) == 0
    frame = np.random.default_rng(0).integers(0, 256, (2, 50, 70, 3), dtype=np.uint8)
    found, expected = (
        open_backend(path.with_suffix(suffix), "cpu", 1).predict(frame).frame_scores
        for suffix in (".onnx", ".pt")
    )
    assert found is not None and expected is not None
    assert 0 < np.abs(found - expected).max() < 0.05


def test_broken_scales_fail(
    export: Export,
    tmp_path: Path,
    frames: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    honest = exporter.conversions

    def broken(*arguments: object) -> Iterator[Converted]:
        made = next(honest(*arguments))  # type: ignore[arg-type]
        scales = {
            node.input[1] for node in made.network.graph.node if node.op_type == "DequantizeLinear"
        }
        for value in made.network.graph.initializer:
            if value.name in scales and value.dims:  # of weights
                wrong = numpy_helper.to_array(value).copy()
                wrong[::2] *= 1.5
                value.CopyFrom(numpy_helper.from_array(wrong, value.name))
        yield made

    monkeypatch.setattr(exporter, "conversions", broken)
    assert export("--precision", "int8", "--calibrate", f"folder:{frames}") == 3
    assert "departs from the checkpoint" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["out.onnx.worst.png"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--precision", "int8"), "needs --calibrate"),
        (("--calibrate", "streets:dusk"), "no effect on fp32"),
        (("--precision", "fp16", "--activations", "int8"), "--precision int8 alone"),
        (
            ("--precision", "int8", "--calibrate", "streets:dusk", "--calibrate-frames", "0"),
            "--calibrate-frames 0: give 1 or more",
        ),
        (("--precision", "int8", "--calibrate", "folder:/no/such/place"), "no such folder"),
    ],
)
def test_bad_arguments(
    export: Export,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    says: str,
) -> None:
    assert export(*arguments) == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
