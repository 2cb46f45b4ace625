"""Engines from build to prediction on the CPU, where a stand-in of TensorRT runs the graph itself.

Its engine's bytes are those of the ONNX file, which onnxruntime runs on the addresses that are set.
"""

from __future__ import annotations

import ctypes
import json
import logging
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from tensorrt_stand_in import StandIn, stand_in

from cfcontra.errors import InputError
from cfcontra.export import engine as engine_module
from cfcontra.export import exporter
from cfcontra.export.certificate import Certificate
from cfcontra.export.cli import main
from cfcontra.export.exporter import certificate_path
from cfcontra.runtime import Backend, open_backend, tensorrt_backend
from cfcontra.runtime.tensorrt_sidecar import read_sidecar, sidecar_path

SIZE = (48, 80)


class OnCpu:
    """TensorRT and the few names of `torch.cuda`, on the CPU."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.builds = 0
        self.captured: list[str] = []
        self.recorded: list[Callable[[], None]] | None = None  # while a graph is captured
        self.replays = 0
        self.capturing = True
        self.spoil: Callable[[NDArray[Any]], NDArray[Any]] = lambda values: values
        self._parsed = b""
        self.module = stand_in(
            self.calls,
            OnnxParser__parse=self._parse,
            Builder__build_serialized_network=self._build,
            Runtime__deserialize_cuda_engine=self._engine,
        )

    def _parse(self, model: bytes) -> bool:
        self._parsed = bytes(model)
        return True

    def _build(self, network: object, config: object) -> bytes:
        self.builds += 1
        return self._parsed

    def _engine(self, content: bytes) -> StandIn:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        ends = {end.name: end for end in (*session.get_inputs(), *session.get_outputs())}
        kinds = {"tensor(uint8)": "UINT8", "tensor(float)": "FLOAT"}
        results = {
            "ICudaEngine.num_io_tensors": len(ends),
            "ICudaEngine.get_tensor_name": lambda index: [*ends][index],
            "ICudaEngine.get_tensor_dtype": lambda name: getattr(
                self.module.DataType, kinds[ends[name].type]
            ),
            "ICudaEngine.create_execution_context": lambda: self._context(session),
        }
        return StandIn("ICudaEngine", self.calls, results)

    def _context(self, session: Any) -> StandIn:
        shapes: dict[str, tuple[int, ...]] = {}
        places: dict[str, int] = {}

        def view(name: str, kind: Any) -> NDArray[Any]:
            size = math.prod(shapes[name]) * np.dtype(kind).itemsize
            memory = (ctypes.c_uint8 * size).from_address(places[name])
            return np.frombuffer(memory, kind).reshape(shapes[name])

        def settle(name: str, shape: tuple[int, ...]) -> bool:
            shapes[name] = tuple(shape)
            for end in session.get_outputs():
                known = {"N": shape[0]}
                shapes[end.name] = tuple(known.get(dim, dim) for dim in end.shape)
            return tuple(shape[1:3]) == SIZE

        def place(name: str, address: int) -> bool:
            places[name] = address
            return True

        def execute(stream: int) -> bool:
            assert stream == _Stream.cuda_stream
            if self.recorded is None:
                run()
            else:  # a capture runs nothing
                self.recorded.append(run)
            return True

        def run() -> None:
            found = session.run(None, {"frames": view("frames", np.uint8)})
            for end, values in zip(session.get_outputs(), found, strict=True):
                view(end.name, values.dtype)[...] = self.spoil(values)

        results = {
            "IExecutionContext.set_input_shape": settle,
            "IExecutionContext.get_tensor_shape": lambda name: shapes[name],
            "IExecutionContext.set_tensor_address": place,
            "IExecutionContext.execute_async_v3": execute,
        }
        return StandIn("IExecutionContext", self.calls, results)


class _Stream:
    cuda_stream, device = 7, torch.device("cpu")

    def __init__(self, device: object) -> None: ...

    def synchronize(self) -> None: ...


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> OnCpu:
    made = OnCpu()

    class Graph:
        recorded: list[Callable[[], None]]

        def replay(self) -> None:
            made.replays += 1
            for run in self.recorded:
                run()

    @contextmanager
    def capture(graph: Graph, stream: _Stream, capture_error_mode: str) -> Iterator[None]:
        made.captured.append(capture_error_mode)
        made.recorded = []
        try:
            yield
            if not made.capturing:
                raise RuntimeError("operation not permitted when stream is capturing")
            graph.recorded = made.recorded
        finally:
            made.recorded = None

    monkeypatch.setitem(sys.modules, "tensorrt", made.module)
    for module in (engine_module, tensorrt_backend):
        monkeypatch.setattr(module, "resolve_device", lambda name: torch.device("cuda", 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA L4")
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "Stream", _Stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    return made


Export = Callable[..., int]


@pytest.fixture
def export(
    on_cpu: OnCpu,
    model_file: Path,
    network: onnx.ModelProto,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Export:
    monkeypatch.setattr(exporter, "export_network", lambda *given: network)

    def run(*more: str) -> int:
        frames = ("--certify", "streets:noon,size=48x80", "--certify-frames", "1")
        kind = ("--format", "tensorrt", "--size", "48x80", "--threads", "1", "--quiet")
        places = ("--output", str(output(tmp_path)), "--timing-cache", str(tmp_path / "timing"))
        return main([str(model_file), *frames, *kind, *places, *more])

    return run


def output(folder: Path) -> Path:
    return folder / "dusk.engine"


def frames(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, *SIZE, 3), dtype=np.uint8)


def state(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_engine_is_built_certified_kept_and_built_anew_when_stale(
    export: Export, on_cpu: OnCpu, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export() == 0
    assert on_cpu.builds == 1
    said = capsys.readouterr().out
    assert said.startswith("wrote") and "up to date" not in said
    sidecar = read_sidecar(output(tmp_path))
    assert sidecar.metadata.certificate["passed"]
    assert sidecar.metadata.certificate["runtime"] == "tensorrt 11.4.0.106"
    assert (sidecar.key.gpu, sidecar.key.batches) == ("NVIDIA L4", (1, 8, 8))
    assert sorted(state(tmp_path)) == [
        "dusk.engine", "dusk.engine.certificate.json", "dusk.engine.json", "timing",
    ]  # fmt: skip
    own = json.loads(certificate_path(output(tmp_path)).read_text())
    assert own["format"] == "tensorrt" and Certificate.from_dict(own).to_dict() == own

    before = state(tmp_path)
    assert export() == 0  # current, so kept
    assert on_cpu.builds == 1 and state(tmp_path) == before
    said = capsys.readouterr().out
    assert said.startswith("up to date") and "wrote" not in said

    on_cpu.module.__version__ = "11.5.0.1"  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=r"stale, it was built by TensorRT 11\.4\.0\.106"):
        open_backend(output(tmp_path), "cuda")
    assert export() == 0
    assert on_cpu.builds == 2 and read_sidecar(output(tmp_path)).key.tensorrt == "11.5.0.1"


def test_a_current_engine_is_certified_on_the_frames_that_are_given_now(
    export: Export, on_cpu: OnCpu, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export("--certify-frames", "2") == 0
    built, first = output(tmp_path).read_bytes(), read_sidecar(output(tmp_path)).metadata
    others = ("--certify-frames", "2", "--certify", "streets:dusk,size=48x80")
    before = state(tmp_path)
    on_cpu.spoil = lambda values: values[..., ::-1]
    assert export(*others) == 3
    after = state(tmp_path)
    assert after.pop("dusk.engine.worst.png") and after == before
    on_cpu.spoil = lambda values: values
    capsys.readouterr()
    assert export(*others) == 0
    assert capsys.readouterr().out.startswith("up to date")
    assert on_cpu.builds == 1 and output(tmp_path).read_bytes() == built
    again = read_sidecar(output(tmp_path)).metadata.certificate
    assert again["frame_count"] == first.certificate["frame_count"] == 2
    assert again["frames_sha256"] != first.certificate["frames_sha256"]
    own = json.loads(certificate_path(output(tmp_path)).read_text())
    assert own["frames_sha256"] == again["frames_sha256"]

    certificate_path(output(tmp_path)).write_text(json.dumps({**own, "agreement": 0.5}))
    assert export(*others) == 0  # what lay there was not this engine's
    assert json.loads(certificate_path(output(tmp_path)).read_text()) == own


def test_another_engine_is_replaced_only_if_that_is_asked_for(
    export: Export, on_cpu: OnCpu, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export() == 0
    before = state(tmp_path)
    for more in (("--max-batch", "2"), ("--version-compatible",), ("--mask-stride", "2")):
        assert export(*more) == 2
        assert "exists already, built from another model" in capsys.readouterr().err
    assert on_cpu.builds == 1 and state(tmp_path) == before
    assert export("--max-batch", "2", "--overwrite") == 0
    assert read_sidecar(output(tmp_path)).key.batches == (1, 2, 2)


def test_a_failed_certificate_leaves_what_was_there(
    export: Export, on_cpu: OnCpu, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    on_cpu.spoil = lambda values: values[..., ::-1]
    assert export() == 3
    assert "departs from the checkpoint" in capsys.readouterr().err
    assert not [name for name in state(tmp_path) if name.startswith(".")]
    assert not output(tmp_path).exists() and not sidecar_path(output(tmp_path)).exists()
    assert not certificate_path(output(tmp_path)).exists()


@pytest.mark.parametrize("name", ["dusk.engine.json", "dusk.engine.certificate.json"])
def test_somebodys_own_files_beside_it_are_not_overwritten(
    export: Export, on_cpu: OnCpu, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text('{"mine": true}')
    assert export() == 2
    assert f"{name}: exists already. Use --overwrite" in capsys.readouterr().err
    assert on_cpu.builds == 0 and [*state(tmp_path)] == [name]


@pytest.fixture
def engine(export: Export, tmp_path: Path) -> Path:
    assert export("--max-batch", "2") == 0
    return output(tmp_path)


@pytest.fixture
def reference(model_file: Path) -> Backend:
    return open_backend(model_file, "cpu", 1)


def agrees(found: Backend, reference: Backend, batch: NDArray[np.uint8]) -> bool:
    same = found.predict(batch).mask == reference.predict(batch).mask
    return bool(np.mean(same) > 0.999)


def test_it_predicts_in_parts_of_what_it_takes(
    engine: Path, on_cpu: OnCpu, reference: Backend
) -> None:
    backend = open_backend(engine, "cuda")
    assert (backend.device, backend.runtime) == ("cuda:0", "tensorrt 11.4.0.106")
    for seed in range(3):  # the first is run, the second captured, the third replayed
        assert agrees(backend, reference, frames(5, seed))
    first, second = (backend.predict(frames(1, seed)) for seed in (0, 1))
    kept = first.mask.copy()
    assert not np.array_equal(first.mask, second.mask)
    backend.predict(frames(1, 2))
    assert np.array_equal(first.mask, kept)  # no view of memory that is used again
    with pytest.raises(InputError, match="48x80 alone"):
        backend.predict(np.zeros((1, 64, 96, 3), np.uint8))


def test_other_threads_may_allocate_while_a_graph_is_captured(
    engine: Path, on_cpu: OnCpu, reference: Backend
) -> None:
    backend = open_backend(engine, "cuda")
    on_cpu.captured.clear()
    on_cpu.replays = 0
    for seed in range(4):
        assert agrees(backend, reference, frames(1, seed))
    assert on_cpu.captured == ["thread_local"]  # once, at the second call
    assert on_cpu.replays == 3


def test_without_a_graph_it_runs_all_the_same(
    engine: Path, on_cpu: OnCpu, reference: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    on_cpu.capturing = False
    on_cpu.replays = 0
    backend = open_backend(engine, "cuda")
    with caplog.at_level(logging.DEBUG, "cfcontra"):
        for seed in range(4):
            assert agrees(backend, reference, frames(1, seed))
    assert on_cpu.replays == 0
    assert caplog.text.count("no CUDA graph for frames of (1, 48, 80, 3)") == 1


def test_memory_is_kept_for_few_shapes(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt_backend, "_KEPT", 1)
    backend = open_backend(engine, "cuda")
    assert isinstance(backend, tensorrt_backend.TensorRtBackend)
    for count in (1, 2, 1):
        backend.predict(frames(count))
        assert [shape[0] for shape in backend._calls] == [count]


def test_code_inside_an_engine_runs_only_where_it_is_allowed(
    export: Export, on_cpu: OnCpu, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = "Runtime.engine_host_code_allowed = True"
    assert export() == 0 and allowed not in on_cpu.calls
    # Built here it is trusted while it is certified, and nowhere else.
    assert export("--version-compatible", "--overwrite") == 0 and on_cpu.builds == 2
    assert allowed in on_cpu.calls
    on_cpu.calls.clear()
    with pytest.raises(InputError, match="set CFCONTRA_ENGINE_CODE=allow"):
        open_backend(output(tmp_path), "cuda")
    assert on_cpu.calls == []
    monkeypatch.setenv("CFCONTRA_ENGINE_CODE", "allow")
    open_backend(output(tmp_path), "cuda")
    assert allowed in on_cpu.calls
    # What lies there is not run for another certificate either, but built anew.
    monkeypatch.delenv("CFCONTRA_ENGINE_CODE")
    assert export("--version-compatible", "--certify-frames", "2") == 0 and on_cpu.builds == 3
