"""Consumers that others wrote run an exported file without this package."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from cfcontra.export.exporter import export_model
from cfcontra.label_space import LABEL_SPACES
from cfcontra.runtime import Prediction, open_backend

README = Path(__file__).parents[2] / "README.md"
NODE_TEST = """
import * as ort from "onnxruntime-web";
import { readFileSync, writeFileSync } from "node:fs";

ort.env.wasm.numThreads = 1;
const [file, bytes, height, width] = process.argv.slice(2);
const session = await ort.InferenceSession.create(readFileSync(file), {
  executionProviders: ["wasm"],
});
const dims = [1, Number(height), Number(width), 3];
const frames = new ort.Tensor("uint8", new Uint8Array(readFileSync(bytes)), dims);
const { mask, confidence } = await session.run({ frames });
writeFileSync("mask.raw", mask.data);
writeFileSync("confidence.raw", confidence.data);
console.log(mask.type, mask.dims.join("x"));
"""


@pytest.fixture(scope="module")
def file(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("consumers") / "dusk.onnx"
    export_model(model_file, path, certify_specs=["streets:noon,size=64x96"], certify_frames=1)
    return path


@pytest.fixture(scope="module")
def frame() -> NDArray[np.uint8]:
    coarse = np.random.default_rng(0).integers(0, 256, (5, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (107, 81)), np.uint8)


@pytest.fixture(scope="module")
def expected(file: Path, frame: NDArray[np.uint8]) -> Prediction:
    return open_backend(file, "cpu", 1).predict(frame[None])


def test_the_readmes_lines(file: Path, frame: NDArray[np.uint8], expected: Prediction) -> None:
    (code,) = [
        block
        for block in re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
        if "onnxruntime.InferenceSession" in block
    ]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    assert "cfcontra" not in re.sub(r'\["cfcontra"\]', "", code)
    cv2.imwrite(str(file.parent / "frame.jpg"), frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
    after = "\nimport sys; assert not {'cfcontra', 'torch', 'onnx'} & {*sys.modules}"
    command = [sys.executable, "-c", code + after]
    found = subprocess.run(
        command, cwd=file.parent, capture_output=True, text=True, check=True, timeout=200
    ).stdout
    shares = {}
    for line in found.splitlines():
        name, share, sign = line.rsplit(maxsplit=2)
        assert sign == "%"
        shares[name] = float(share)
    classes = LABEL_SPACES["camvid11"].classes
    assert tuple(shares) == classes
    for train_id, name in enumerate(classes):  # JPEG changes a few pixels
        assert shares[name] == pytest.approx(100 * (expected.mask == train_id).mean(), abs=3)


def test_the_checker_in_full(file: Path) -> None:
    onnx.checker.check_model(onnx.load(file), full_check=True)
    onnx.checker.check_model(str(file), full_check=True)


def _runs_alike(model: onnx.ModelProto, frame: NDArray[np.uint8], expected: Prediction) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    mask, confidence = session.run(["mask", "confidence"], {"frames": frame[None]})
    assert np.mean(mask == expected.mask) >= 0.9999
    assert np.abs(confidence.astype(int) - expected.confidence).max() <= 1


def test_onnxslim(file: Path, frame: NDArray[np.uint8], expected: Prediction) -> None:
    onnxslim = pytest.importorskip("onnxslim")
    slimmed = onnxslim.slim(onnx.load(file))
    assert isinstance(slimmed, onnx.ModelProto)
    _runs_alike(slimmed, frame, expected)


def test_polygraphy(file: Path, frame: NDArray[np.uint8], expected: Prediction) -> None:
    pytest.importorskip("polygraphy")
    from polygraphy.backend.onnxrt import OnnxrtRunner, SessionFromOnnx

    with OnnxrtRunner(SessionFromOnnx(str(file), providers=["cpu"])) as runner:
        found = runner.infer({"frames": frame[None]})
    assert np.array_equal(np.asarray(found["mask"]), expected.mask)


@pytest.mark.slow
def test_onnxruntime_web_in_node(
    file: Path, frame: NDArray[np.uint8], expected: Prediction, tmp_path: Path
) -> None:
    """Of npm's package alone: its scripts, which might download something, do not run."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    install = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "onnxruntime-web@1"]
    done = subprocess.run(install, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    if done.returncode:
        pytest.skip(f"npm cannot install onnxruntime-web: {done.stderr.strip()[-200:]}")
    (tmp_path / "run.mjs").write_text(NODE_TEST)
    (tmp_path / "frame.raw").write_bytes(frame.tobytes())
    height, width = frame.shape[:2]
    command = ["node", "run.mjs", str(file), "frame.raw", str(height), str(width)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["uint8", f"1x{height}x{width}"]
    mask, confidence = (
        np.frombuffer((tmp_path / f"{name}.raw").read_bytes(), np.uint8).reshape(height, width)
        for name in ("mask", "confidence")
    )
    assert np.mean(mask == expected.mask[0]) >= 0.9999
    assert np.abs(confidence.astype(int) - expected.confidence[0]).max() <= 1


def test_every_export_option_that_matters_here_is_default(file: Path) -> None:
    """What the consumers above ran is the file that users get without any option."""
    graph = onnx.load(file).graph
    assert [value.name for value in graph.output] == ["mask", "confidence"]
    dims = graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in dims] == ["N", "H", "W", 3]
