"""`cfcontra-export` from checkpoint to file, and everything that must stop it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch

from cfcontra.checkpoint import file_sha256, load_checkpoint, save_checkpoint
from cfcontra.export import exporter, graph, graph_parts
from cfcontra.export.cli import main
from cfcontra.metadata import METADATA_KEY, ModelMetadata

Export = Callable[..., int]


def metadata_of(path: Path) -> ModelMetadata:
    stored = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    return ModelMetadata.from_json(stored[METADATA_KEY], str(path))


def test_file_certificate_and_report(
    export: Export, tmp_path: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export() == 0
    output = tmp_path / "out.onnx"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "out.onnx",
        "out.onnx.certificate.json",
    ]
    captured = capsys.readouterr()
    assert f"cfcontra-segment VIDEO --model {output}" in captured.out
    assert "certifying" in captured.err

    certificate = json.loads((tmp_path / "out.onnx.certificate.json").read_text())
    assert certificate["passed"]
    assert certificate["frames"] == "given"
    assert certificate["agreement"] >= 0.9999
    assert certificate["miou"]["difference"] == pytest.approx(0, abs=0.001)
    assert {"torch", "onnx", "onnxruntime", "cfcontra"} == certificate["versions"].keys()
    assert [row["batch"] for row in certificate["sizes"]] == [1, 3, 2]

    metadata = metadata_of(output)
    assert metadata.checkpoint_sha256 == file_sha256(model_file)
    assert metadata.label_space == load_checkpoint(model_file).metadata.label_space
    assert metadata.certificate.items() <= certificate.items()
    bare = onnx.load(output)
    del bare.metadata_props[:]
    digest = hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()
    assert certificate["graph_sha256"] == digest


def test_no_local_path_in_file_or_certificate(export: Export, tmp_path: Path, frames: Path) -> None:
    assert export() == 0
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        for trace in (tmp_path, frames, frames.parent, Path.cwd(), Path(sys.prefix)):
            assert str(trace).encode() not in content


def test_quiet_prints_results_only(export: Export, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("--quiet") == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "agreement" in captured.out


def test_generated_streets_are_marked_synthetic(
    export: Export, tmp_path: Path, model_file: Path
) -> None:
    """The model's label space is not theirs, so they count without labels."""
    assert export("--certify-frames", "1", certify="streets:noon,split=val,size=64x128") == 0
    certificate = metadata_of(tmp_path / "out.onnx").certificate
    assert certificate["frames"] == "synthetic"
    assert certificate["miou"] is None


def test_unlabelled_pictures_certify_without_miou(
    export: Export, tmp_path: Path, make_folder: Callable[..., Path]
) -> None:
    bare = make_folder(tmp_path / "bare", frames=1, labelled=False)
    assert export(certify=f"folder:{bare}") == 0
    assert metadata_of(tmp_path / "out.onnx").certificate["miou"] is None


def test_work_size_is_what_the_file_says_and_does(
    model_file: Path, frames: Path, tmp_path: Path
) -> None:
    output = tmp_path / "small.onnx"
    argv = [str(model_file), "--output", str(output), "--work-size", "40x33"]
    assert main([*argv, "--certify", f"folder:{frames}", "--threads", "1"]) == 0
    assert metadata_of(output).preprocessing.work_size == (40, 33)


def test_another_process_writes_the_same_bytes(
    export: Export, model_file: Path, frames: Path, tmp_path: Path
) -> None:
    assert export() == 0
    command = [sys.executable, "-c", "from cfcontra.export.cli import main; exit(main())"]
    arguments = [str(model_file), "--output", str(tmp_path / "other.onnx"), "--quiet"]
    more = ["--certify", f"folder:{frames}", "--threads", "1"]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run([*command, *arguments, *more], check=True, env=environment)
    assert (tmp_path / "other.onnx").read_bytes() == (tmp_path / "out.onnx").read_bytes()


def test_the_file_runs_in_plain_onnxruntime(export: Export, tmp_path: Path) -> None:
    assert export() == 0
    script = """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
frames = numpy.zeros((2, 50, 70, 3), numpy.uint8)
mask, confidence = session.run(["mask", "confidence"], {"frames": frames})
assert mask.shape == confidence.shape == (2, 50, 70)
assert mask.dtype == confidence.dtype == numpy.uint8
assert not {"cfcontra", "torch", "onnx"} & set(sys.modules)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "out.onnx")]
    subprocess.run(command, check=True, cwd=tmp_path)


# Planted faults: each changes the graph as a plausible mistake would.


def _change(part: str, old: str, new: str) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        text = getattr(graph_parts, part)
        assert old in text
        patch.setattr(graph_parts, part, text.replace(old, new))

    return plant


def _constant(name: str, change: Callable[[Any], Any]) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        honest = graph._constants

        def constants(*arguments: Any) -> dict[str, Any]:
            values = honest(*arguments)
            return {**values, name: np.asarray(change(values[name]), values[name].dtype)}

        patch.setattr(graph, "_constants", constants)

    return plant


FAULTS = {
    "wrong mean": _constant("mean", lambda mean: mean + 0.05),
    "wrong std": _constant("std", lambda std: std * 1.1),
    "BGR": _change(
        "BYTES",
        "frames_planar = Transpose<perm=[0, 3, 1, 2]>(frames)",
        "rgb = Transpose<perm=[0, 3, 1, 2]>(frames) "
        "r, g, b = Split<axis=1, num_outputs=3>(rgb) "
        "frames_planar = Concat<axis=1>(b, g, r)",
    ),
    "swapped classes": _change(
        "MASK",
        "best = ArgMax<axis=1, keepdims=0>(logits_full)",
        "right = ArgMax<axis=1, keepdims=0>(logits_full) "
        "last = Sub(classes, one) best = Sub(last, right)",
    ),
    "two classes swapped": _change(
        "MASK",
        "best = ArgMax<axis=1, keepdims=0>(logits_full)",
        "right = ArgMax<axis=1, keepdims=0>(logits_full) "
        "is_zero = Equal(right, zero) is_one = Equal(right, one) "
        "without_zero = Where(is_zero, one, right) best = Where(is_one, zero, without_zero)",
    ),
    "another resize before": _change("HEAD", 'mode="linear"', 'mode="nearest"'),
    "antialias before": _change("HEAD", "Resize<", "Resize<antialias=1, "),
    "aligned corners before": _change("HEAD", "half_pixel", "align_corners"),
    "aligned corners of the mask": _change("MASK", "half_pixel", "align_corners"),
    "aligned corners of the confidence": _change("CONFIDENCE", "half_pixel", "align_corners"),
    "padding off by one": _change(
        "HEAD",
        "pads = Concat<axis=0>(zero, zero, zero, zero, zero, zero, pad_height, pad_width)",
        "less = Sub(pad_height, one) "
        "pads = Concat<axis=0>(zero, zero, one, zero, zero, zero, less, pad_width)",
    ),
    "padding not cropped": _change(
        "MASK", "Mul(row_centres, scaled_height)", "Mul(row_centres, work_height)"
    ),
    "nearest from the corner": _change("MASK", "Add(row_doubled, one)", "Identity(row_doubled)"),
    "padding with black": _change(
        "HEAD",
        "padded = Pad(normalised, pads)",
        "black = Constant<value_float=-2.1>() padded = Pad(normalised, pads, black)",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_fails_and_leaves_a_picture_alone(
    export: Export,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fault: str,
) -> None:
    FAULTS[fault](monkeypatch)
    assert export() == 3
    error = capsys.readouterr().err
    assert "departs from the checkpoint" in error
    assert "Worst frame:" in error
    assert [path.name for path in tmp_path.iterdir()] == ["out.onnx.worst.png"]
    picture = cv2.imread(str(tmp_path / "out.onnx.worst.png"))
    assert picture.shape[1] == 4 * 480 and (picture[:, 3 * 480 :, 2] == 230).any()  # red


def test_a_failed_certificate_leaves_the_previous_file(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert export() == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    FAULTS["wrong mean"](monkeypatch)
    assert export("--overwrite") == 3
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after.pop("out.onnx.worst.png")
    assert after == before
    monkeypatch.undo()
    assert export("--overwrite") == 0
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# Bad input: one line, status 2, nothing written.


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--work-size", "40"), "not HEIGHTxWIDTH"),
        (("--work-size", "-40x64"), "work-size"),
        (("--work-size", "0x64"), "must be positive"),
        (("--work-size", "31x64"), "32 to 8192"),
        (("--work-size", "64x99999"), "32 to 8192"),
        (("--certify-frames", "0"), "give 1 or more"),
        (("--certify-frames", "1", "--certify", "folder:/no"), "not every one of 2 specs"),
        (("--threads", "0"), "give 1 or more"),
        (("--device", "gpu"), "unknown"),
        (("--format", "tflite"), "invalid choice"),
        (("--precision", "fp4"), "invalid choice"),
        (("--output", "model.bin"), "must end in .onnx"),
        (("--outputs", "mask,confidence,scores"), "Unknown output 'scores'"),
        (("--size", "0x64"), "height and width must be 1 to"),
        (("--size", "-5x64"), "expected one argument"),
        (("--size", "540"), "not HEIGHTxWIDTH"),
        (("--size", "99999x64"), "1 to 32768"),
        (("--batch", "0"), "give 1 to 1024"),
        (("--batch", "-1"), "give 1 to 1024"),
        (("--mask-stride", "3"), "use one of 1, 2, 4, 8"),
        (("--embed-normalisation", "maybe"), "invalid choice"),
        (("--outputs", ""), "Unknown output ''"),
        (("--outputs", "mask"), "always gives 'confidence'"),
        (("--outputs", "mask,confidence,frame_scores"), "holds no class prototypes"),
    ],
)
def test_bad_arguments(
    export: Export,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    says: str,
) -> None:
    try:
        status = export(*arguments)
    except SystemExit as stop:  # argparse
        status = int(stop.code or 0)
    assert status == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("nonsense", "not a data spec"),
        ("folder:/no/such/place", "no such folder"),
        ("streets:nowhere", "nowhere"),
        ("streets:noon,colour=red", "unknown option"),
    ],
)
def test_bad_certify_spec(
    export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str], spec: str, says: str
) -> None:
    assert export(certify=spec) == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_empty_certify_folder(
    export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert export(certify=f"folder:{tmp_path / 'empty'}") == 2
    assert "holds no pictures" in capsys.readouterr().err


def test_bad_checkpoints(
    export: Export, tmp_path: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = model_file.read_bytes()
    cases = {"text.pt": b"hello", "short.pt": data[: len(data) // 2], "empty.pt": b""}
    for name, content in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert export(model=path) == 2
        assert f"{path}: not a cfcontra model, or truncated" in capsys.readouterr().err
        path.unlink()
    assert export(model=tmp_path / "missing.pt") == 2
    assert export(model=tmp_path) == 2
    assert list(tmp_path.iterdir()) == []


def test_weights_that_diverged(
    export: Export, tmp_path: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = load_checkpoint(model_file)
    with torch.no_grad():
        next(checkpoint.model.parameters()).fill_(float("nan"))
    path = tmp_path / "nan.pt"
    save_checkpoint(path, checkpoint.model, checkpoint.metadata)
    assert export(model=path) == 2
    assert "NaN or infinity" in capsys.readouterr().err


def test_output_in_the_way(
    export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.onnx"
    output.write_text("precious")
    assert export() == 2
    assert "--overwrite" in capsys.readouterr().err
    assert output.read_text() == "precious"
    assert export("--overwrite") == 0
    assert export("--output", str(tmp_path)) == 2
    assert export("--output", str(output / "inside.onnx")) == 2


def test_full_disk_leaves_nothing(
    export: Export,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for fatal in (1, 2):  # the file to certify, and the certified one
        with monkeypatch.context() as patch:
            writes = iter(range(1, 9))

            def write(path: Path, data: bytes, fatal: int = fatal, writes: Any = writes) -> int:
                with path.open("wb") as stream:
                    if next(writes) == fatal:
                        stream.write(data[:1000])
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                    return stream.write(data)

            patch.setattr(Path, "write_bytes", write)
            assert export() == 2
        assert "no space left" in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []


def test_interrupt_leaves_nothing(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(exporter, "certify", interrupted)
    assert export() == 130
    assert list(tmp_path.iterdir()) == []
