"""TensorRT without TensorRT: every call held against the published bindings' signatures.

`typings/tensorrt.pyi` was written from the docstrings of the bindings. mypy holds the types of all
calls against it; here a stand-in made from it binds the arguments of every call that a build makes.
"""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from tensorrt_stand_in import PUBLISHED, ROOT, StandIn, stand_in

from cfcontra.checkpoint import file_sha256, load_checkpoint
from cfcontra.errors import CheckFailedError, InputError, MissingDependencyError
from cfcontra.export.certificate import Certificate
from cfcontra.export.cli import main
from cfcontra.export.tensorrt_build import build_engine
from cfcontra.export.triton import write_repository
from cfcontra.runtime import open_backend
from cfcontra.runtime.tensorrt_sidecar import EngineKey, Sidecar, read_sidecar, sidecar_path

USERS = [ROOT / "cfcontra/runtime/tensorrt_backend.py", ROOT / "export/tensorrt_build.py"]
KEY = EngineKey("0" * 64, "11.4.0.106", "NVIDIA L4", (1, 4, 8))


def file(batch: int | str = "N") -> onnx.ModelProto:
    ends = [
        onnx.helper.make_tensor_value_info("frames", 2, [batch, 90, 161, 3]),
        onnx.helper.make_tensor_value_info("mask", 2, [batch, 90, 161]),
    ]
    graph = onnx.helper.make_graph([], "g", ends[:1], ends[1:])
    return onnx.helper.make_model(graph)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    made: list[str] = []
    monkeypatch.setitem(sys.modules, "tensorrt", stand_in(made))
    return made


def test_a_build_makes_published_calls_with_fitting_arguments(
    calls: list[str], tmp_path: Path
) -> None:
    cache = tmp_path / "cache" / "timing"
    key = replace(KEY, version_compatible=True, hardware_compatible=True)
    assert build_engine(file(), key, cache) == b"bytes of IHostMemory"
    assert cache.read_bytes() == b"bytes of ITimingCache"
    for call in (
        "OnnxParser.parse",
        "IBuilderConfig.clear_flag",
        "IBuilderConfig.set_flag",
        "IOptimizationProfile.set_shape",
        "IBuilderConfig.add_optimization_profile",
        "IBuilderConfig.set_timing_cache",
        "Builder.build_serialized_network",
    ):
        assert call in calls
    assert any(call.startswith("IBuilderConfig.hardware_compatibility_level =") for call in calls)


def test_a_fixed_batch_needs_no_profile(calls: list[str], tmp_path: Path) -> None:
    build_engine(file(3), KEY, tmp_path / "timing")
    assert "IOptimizationProfile.set_shape" not in calls
    assert not any("hardware" in call or call.endswith("set_flag") for call in calls)


def test_what_tensorrt_refuses_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refusing = stand_in([], OnnxParser__parse=False)
    monkeypatch.setitem(sys.modules, "tensorrt", refusing)
    with pytest.raises(CheckFailedError, match=r"the node \(Fold\): no kernel"):
        build_engine(file(), KEY, tmp_path / "timing")


@pytest.mark.parametrize("damaged", ["None of damaged bytes", "of another device"])
def test_a_timing_cache_that_is_no_use_is_replaced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, damaged: str
) -> None:
    cache = tmp_path / "timing"
    cache.write_bytes(b"old")
    given: list[bytes] = []

    def create(content: bytes) -> str | None:
        given.append(content)
        return None if content and damaged.startswith("None") else "→ITimingCache"

    made = stand_in(
        [],
        IBuilderConfig__create_timing_cache=create,
        IBuilderConfig__set_timing_cache=lambda cache, ignore: given[-1] == b"",
    )
    monkeypatch.setitem(sys.modules, "tensorrt", made)
    assert build_engine(file(), KEY, cache) == b"bytes of IHostMemory"
    assert given == [b"old", b""]
    assert cache.read_bytes() == b"bytes of ITimingCache"


def test_a_build_stands_without_any_timing_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = stand_in([], IBuilderConfig__create_timing_cache=lambda content: None)
    monkeypatch.setitem(sys.modules, "tensorrt", made)
    assert build_engine(file(), KEY, tmp_path / "timing") == b"bytes of IHostMemory"
    assert not (tmp_path / "timing").exists()


def test_a_timing_cache_that_cannot_be_written_loses_no_engine(
    calls: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "in the way").write_text("a file")
    assert build_engine(file(), KEY, tmp_path / "in the way" / "timing") == b"bytes of IHostMemory"
    assert "measures again" in caplog.text and "cannot be written" in caplog.text


def test_the_stand_in_notices_wrong_calls() -> None:
    config = StandIn("IBuilderConfig", [], {})
    with pytest.raises(AssertionError, match="no set_calibration"):
        config.set_calibration()
    with pytest.raises(AssertionError, match="set_timing_cache"):
        config.set_timing_cache("cache")
    with pytest.raises(AssertionError, match="no attribute max_workspace_size"):
        config.max_workspace_size = 3


def test_every_name_of_the_module_is_published() -> None:
    used = set()
    for path in USERS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                used.add(ast.unparse(node))
    names = {name for name in used if name.startswith("tensorrt.")}
    assert len(names) > 10
    for name in names - {"tensorrt.__version__"}:
        _, kind, *member = name.split(".")
        assert kind in PUBLISHED, name
        assert not member or member[0] in PUBLISHED[kind], name


@pytest.mark.slow
def test_mypy_holds_calls_against_the_stub(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "import tensorrt\n"
        "def f(context: tensorrt.IExecutionContext) -> None:\n"
        "    context.execute_async_v2(1)\n"
        "    context.set_tensor_address('frames')\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", *map(str, USERS), str(wrong)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    errors = [line for line in found.splitlines() if ": error:" in line]
    assert len(errors) == 2 and all("wrong.py" in line for line in errors), found


# The engine's sidecar, and when an engine is stale.


@pytest.fixture
def engine(model_file: Path, tmp_path: Path) -> Path:
    path = tmp_path / "dusk.engine"
    path.write_bytes(b"engine")
    sidecar = Sidecar(KEY, file_sha256(path), load_checkpoint(model_file).metadata)
    sidecar_path(path).write_text(sidecar.to_json())
    return path


def test_the_sidecar_comes_back(engine: Path, model_file: Path) -> None:
    found = read_sidecar(engine)
    assert found.key == KEY
    assert found.metadata == load_checkpoint(model_file).metadata
    assert str(engine.parent) not in sidecar_path(engine).read_text()


@pytest.mark.parametrize(
    ("changes", "tensorrt", "gpu", "stale"),
    [
        ({}, "11.4.0.106", "NVIDIA L4", None),
        ({}, "11.5.0.1", "NVIDIA L4", "built by TensorRT 11.4.0.106, and 11.5.0.1"),
        ({"version_compatible": True}, "11.5.0.1", "NVIDIA L4", None),
        ({"version_compatible": True}, "11.10.0.1", "NVIDIA L4", None),
        ({"version_compatible": True}, "11.3.0.1", "NVIDIA L4", "and 11.3.0.1"),
        ({"version_compatible": True}, "12.0.0.1", "NVIDIA L4", "and 12.0.0.1"),
        ({}, "11.4.0.106", "NVIDIA H100", "built on NVIDIA L4, and this is NVIDIA H100"),
        ({"hardware_compatible": True}, "11.4.0.106", "NVIDIA H100", None),
    ],
)
def test_stale(changes: dict[str, Any], tensorrt: str, gpu: str, stale: str | None) -> None:
    found = replace(KEY, **changes).stale_on(tensorrt, gpu)
    assert found is None if stale is None else stale in str(found)


def _without(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(data: dict[str, Any]) -> None:
        for name in path[:-1]:
            data = data[name]
        del data[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_without("format"), "not the sidecar"),
        (_without("key"), "malformed key"),
        (_without("key", "gpu"), "malformed key"),
        (_without("metadata"), "metadata is malformed"),
        (_without("engine_sha256"), "is not the engine"),
        (lambda data: data.update(version=9), "newer"),
        (lambda data: data["key"].update(batches=[1, 2]), "malformed key"),
        (lambda data: data["key"].update(batches=[1, 2, 1e999]), "malformed key"),
        (lambda data: data["key"].update(batches=[1, 1, 0]), "malformed key"),
        (lambda data: data["key"].update(batches=[0, 1, 1]), "malformed key"),
    ],
)
def test_a_malformed_sidecar_is_refused(
    engine: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    content = json.loads(sidecar_path(engine).read_text())
    change(content)
    sidecar_path(engine).write_text(json.dumps(content))
    with pytest.raises(InputError, match=says):
        open_backend(engine)


def test_a_changed_engine_and_a_missing_sidecar_are_refused(engine: Path) -> None:
    engine.write_bytes(b"another engine")
    with pytest.raises(InputError, match="is not the engine that"):
        open_backend(engine)
    sidecar_path(engine).write_text("[" * 100_000)
    with pytest.raises(InputError, match="not JSON"):
        open_backend(engine)
    sidecar_path(engine).unlink()
    with pytest.raises(InputError, match="is missing beside it"):
        open_backend(engine)


def test_a_missing_package_names_the_extra(
    engine: Path,
    model_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'cfcontra\[tensorrt\]'"):
        open_backend(engine)
    shutil.copy(model_file, tmp_path / "model.pt")
    before = sorted(tmp_path.iterdir())
    command = [str(tmp_path / "model.pt"), "--format", "tensorrt", "--size", "64x96"]
    assert main(command) == 2
    assert "pip install 'cfcontra[tensorrt]'" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_without_a_gpu_nothing_is_opened_or_built(
    engine: Path, model_file: Path, calls: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="runs on CUDA alone"):
        open_backend(engine)
    output = ("--output", str(engine.with_name("new.engine")))
    command = [str(model_file), "--format", "tensorrt", "--size", "64x96", *output]
    assert main(command) == 2
    assert "needs a CUDA GPU here" in capsys.readouterr().err
    assert calls == [] and not engine.with_name("new.engine").exists()


def test_triton_opens_the_engine(engine: Path, tmp_path: Path) -> None:
    def export(path: Path) -> Certificate:
        shutil.copy(engine, path)
        shutil.copy(sidecar_path(engine), sidecar_path(path))
        return None  # type: ignore[return-value]

    write_repository(tmp_path / "models", "dusk", export, "cuda", 8, False, engine=True)
    place = tmp_path / "models" / "dusk"
    assert (place / "1" / "model.plan").read_bytes() == b"engine"
    assert sorted(path.name for path in (place / "1").iterdir()) == [
        "model.plan",
        "model.plan.json",
    ]
    assert 'backend: "tensorrt"' in (place / "config.pbtxt").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--format", "tensorrt"), "one size of frames: give it with --size"),
        (("--format", "triton", "--inside", "tensorrt"), "one size of frames"),
        (("--format", "tensorrt", "--size", "64x96", "--precision", "auto"), "name the precision"),
        (("--format", "tensorrt", "--size", "64x96", "--runtime", "openvino"), "TensorRT alone"),
        (("--version-compatible",), "for --format tensorrt alone"),
        (("--hardware-compatible",), "for --format tensorrt alone"),
        (("--timing-cache", "x"), "for --format tensorrt alone"),
        (("--inside", "onnx"), "for --format triton alone"),
        (("--format", "tensorrt", "--size", "64x96", "--output", "x.onnx"), "end in .engine"),
        (("--format", "tensorrt", "--size", "64x96", "--max-batch", "0"), "give 1 or more"),
    ],
)
def test_options_that_do_not_fit(
    model_file: Path, arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(model_file), *arguments]) == 2
    assert says in capsys.readouterr().err


def test_the_key_is_all_that_decides() -> None:
    assert set(asdict(KEY)) == {
        "graph_sha256", "tensorrt", "gpu", "batches", "version_compatible", "hardware_compatible",
    }  # fmt: skip
