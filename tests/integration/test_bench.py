"""`cfcontra-bench`: what it times, against clocks that are set by hand."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch

import cfcontra.runtime
from cfcontra.errors import InputError, MissingDependencyError
from cfcontra.export import bench, bench_command, bench_memory, exporter, plain_loop
from cfcontra.export.bench import PLAIN, Case, cases_of, make_frames, measure, names_of
from cfcontra.export.bench_memory import _own_peak
from cfcontra.export.exporter import export_model
from cfcontra.export.plain_loop import PlainLoop
from cfcontra.interface import Interface
from cfcontra.runtime import open_backend
from cfcontra.runtime.onnx_backend import OnnxBackend
from cfcontra.runtime.onnx_cuda import DeviceBinding


@pytest.fixture(scope="module")
def folder(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    shutil.copy(model_file, folder / "model.pt")
    export_model(folder / "model.pt", certify_specs=["streets:noon,size=64x96"], certify_frames=1)
    return folder


def test_every_model_meets_the_runtimes_that_run_it(tmp_path: Path) -> None:
    torch_file, onnx_file = tmp_path / "m.pt", tmp_path / "m.onnx"
    sizes, batches = [(10, 20), (30, 40)], [1, 8]
    assert cases_of([torch_file], [], sizes[:1], batches[:1]) == [
        Case(torch_file, "torch", (10, 20), 1)
    ]
    found = cases_of([torch_file, onnx_file], ["torch", "openvino"], sizes, batches)
    assert [(case.model.suffix, case.runtime) for case in found[::4]] == [
        (".pt", "torch"),
        (".onnx", "openvino"),
        (".onnx", "openvino"),
    ]
    assert len(found) == 2 * 2 * (1 + 2)
    assert {case.runtime for case in found if case.model == onnx_file} == {"openvino", PLAIN}


def test_files_of_the_same_name_are_told_apart() -> None:
    given = [*map(Path, ("runs/a/model.onnx", "runs/b/model.onnx", "b/model.onnx", "x/a.onnx"))]
    here = Path.cwd().name
    assert [*names_of(given).values()] == [
        "a/model.onnx",
        "runs/b/model.onnx",
        f"{here}/b/model.onnx",
        "a.onnx",
    ]
    same = [Path("m.onnx"), Path("m.onnx").absolute()]
    assert [*names_of(same).values()] == ["m.onnx", "m.onnx"]


class _Slow:
    """Takes as long as a clock of the test's own says."""

    runtime, device = "slow", "cpu"

    def __init__(self, clock: list[float], durations: list[float], like: Any) -> None:
        self.metadata, self._clock, self._durations = like.metadata, clock, durations

    def predict(self, frames: object) -> None:
        self._clock[0] += self._durations.pop(0)

    def stages(self, frames: object) -> dict[str, float]:
        return {"prepare": 0.001, "network": 0.002, "mask": 0.003}


def test_percentiles_rate_and_ratio(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    like = open_backend(folder / "model.onnx", "cpu", 1)
    path = folder / "model.onnx"
    # The first of each is the warm-up's and must not count.
    slow = {
        "onnxruntime": _Slow(clock, [9.0, 0.010, 0.020, 0.030], like),
        PLAIN: _Slow(clock, [9.0, 0.050, 0.040, 0.060], like),
    }
    monkeypatch.setattr(bench, "_open", lambda case, device, threads: slow[case.runtime])
    monkeypatch.setattr(bench.time, "perf_counter", lambda: clock[0])
    cases = [Case(path, name, (10, 20), 4) for name in ("onnxruntime", PLAIN)]
    ours, plain = measure(cases, "cpu", 1, warm_up=1, repeats=3, memory=False)
    assert (ours.p50, plain.p50) == (pytest.approx(20), pytest.approx(50))
    assert ours.p90 == pytest.approx(28) and ours.p99 == pytest.approx(29.8)
    assert ours.fps == pytest.approx(4 / 0.020)
    assert ours.ratio == pytest.approx(2.5) and plain.ratio == pytest.approx(1.0)
    assert ours.stages == {"prepare": 1.0, "network": 2.0, "mask": 3.0}
    assert ours.precision == "fp32" and ours.repeats == 3 and ours.memory is None


def test_the_plain_loop_is_the_same_model(folder: Path) -> None:
    frames = make_frames(2, (64, 96))
    plain = PlainLoop(folder / "model.onnx", "cpu", 1).predict(frames)
    ours = open_backend(folder / "model.pt", "cpu", 1).predict(frames)
    assert np.mean(plain.mask == ours.mask) > 0.98
    assert np.abs(plain.confidence.astype(int) - ours.confidence).mean() < 6


@pytest.mark.parametrize("size", [None, (60, 110)])
def test_a_plain_loop_feeds_a_fixed_batch(
    folder: Path,
    network: onnx.ModelProto,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[int, int] | None,
) -> None:
    monkeypatch.setattr(exporter, "export_network", lambda *given: network)
    fixed = tmp_path / "fixed.onnx"
    specs = ["streets:noon,size=64x96"]
    interface = Interface(batch=2, size=size)
    export_model(
        folder / "model.pt", fixed, certify_specs=specs, certify_frames=1, interface=interface
    )
    loop, frames = PlainLoop(fixed, "cpu", 1), make_frames(3, size or (64, 96))
    expected = PlainLoop(folder / "model.onnx", "cpu", 1).predict(frames)
    for count in (1, 2, 3):  # less than it takes, as much, and more
        found = loop.predict(frames[:count])
        assert np.array_equal(found.mask, expected.mask[:count])
        assert np.array_equal(found.confidence, expected.confidence[:count])
        assert [*loop.stages(frames[:count])] == ["prepare", "network", "mask"]


def test_a_plain_loop_of_another_size_than_its_network_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    file = onnx.load(folder / "model.onnx")
    (entry,) = file.metadata_props
    content = json.loads(entry.value)
    content["preprocessing"]["work_size"] = [128, 96]
    entry.value = json.dumps(content)
    onnx.save(file, tmp_path / "edited.onnx")
    with pytest.raises(InputError, match="works at 128x96, and it does at 64x96"):
        PlainLoop(tmp_path / "edited.onnx", "cpu", 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_plain_loop_that_would_run_on_the_cpu_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain_loop, "resolve_device", lambda name: torch.device("cuda", 1))
    with pytest.raises(MissingDependencyError, match=r"--device cuda:1: .* would run on the CPU"):
        PlainLoop(folder / "model.onnx", "cuda:1", 1)


@pytest.mark.parametrize(
    ("run", "given", "patience", "found"),
    [
        (float, "2.5", 300.0, 2.5),
        (float, "no number", 300.0, None),
        (os._exit, 9, 300.0, None),  # as one that is killed for its memory
        (time.sleep, 600, 0.2, None),
    ],
)
def test_a_process_that_dies_or_hangs_holds_nobody_up(
    run: Callable[..., Any], given: object, patience: float, found: float | None
) -> None:
    begun = time.monotonic()
    assert bench_memory._of_own_process(run, given, patience=patience) == found
    assert time.monotonic() - begun < 120
    assert not multiprocessing.active_children()


def test_a_gpus_memory_is_its_own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of every runtime alike: what is free before, less what is free when it has run."""
    free = iter([900 * 2**20, 650 * 2**20])
    monkeypatch.setattr("cfcontra.device.resolve_device", lambda name: torch.device("cuda", 0))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (next(free), 1000 * 2**20))
    opened = open_backend(folder / "model.onnx", "cpu", 1)
    monkeypatch.setattr(cfcontra.runtime, "open_backend", lambda *given: opened)
    found = bench_memory._run(folder / "model.onnx", "onnxruntime", "cuda", 1, (1, 48, 64, 3))
    assert found == 250


@pytest.mark.parametrize("name", ["model.pt", "model.onnx"])
def test_stages_add_up_to_a_call(folder: Path, name: str) -> None:
    backend = open_backend(folder / name, "cpu", 1)
    frames = make_frames(1, (270, 480))
    backend.predict(frames)
    found = backend.stages(frames)
    assert [*found] == ["prepare", "network", "mask"]
    assert all(value > 0 for value in found.values())
    assert found["network"] > found["prepare"]


def test_openvinos_memory_is_without_torch(folder: Path) -> None:
    pytest.importorskip("openvino")
    code = (
        "import sys; from pathlib import Path; from cfcontra.export.bench_memory import _run; "
        f"_run(Path({str(folder / 'model.onnx')!r}), 'openvino', 'auto', 1, (1, 48, 64, 3)); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_no_stages_where_a_profile_would_tell_launches(folder: Path) -> None:
    backend = open_backend(folder / "model.onnx", "cpu", 1)
    assert isinstance(backend, OnnxBackend)
    backend._binding = DeviceBinding(backend._session, torch.device("cpu"))  # as on CUDA
    assert backend.stages(make_frames(1, (48, 64))) == {}


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = [str(folder / "model.onnx"), str(folder / "model.pt"), "--repeats", "2", "--quiet"]
    outputs = ["--json", str(tmp_path / "t.json"), "--plot", str(tmp_path / "t.png")]
    more = ["--size", "48x64", "--batch", "1", "--batch", "2", "--threads", "1"]
    assert bench_command.main([*argv, *outputs, *more, "--warm-up", "0", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "2 × 48x64" in said and "plain loop" in said
    found = json.loads((tmp_path / "t.json").read_text())["timings"]
    assert len(found) == 2 * (2 + 1)
    assert all(timing["p50"] <= timing["p99"] for timing in found)
    memory = [t["memory"] for t in found if not t["runtime"].startswith("plain")]
    if _own_peak() is not None:
        assert all(50 < value < 4000 for value in memory)
    assert cv2.imread(str(tmp_path / "t.png")).shape[1] == 1000


def test_what_is_no_model_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench_command.main(["/etc/hostname"]) == 2
    assert "/etc/hostname: no model file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--repeats", "0"), "--repeats: give 1 or more"),
        (("--warm-up", "-1"), "--warm-up: give 0 or more"),
        (("--size", "0x5"), "not HEIGHTxWIDTH"),
        (("--batch", "0"), "not a number of frames"),
        (("--runtime", "torch"), "none of the runtimes asked for runs it"),
        (("--plot", "b.jpg"), "must end in .png"),
        (("--runtime", "trt"), "invalid choice"),
    ],
)
def test_bad_arguments(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    try:
        status = bench_command.main([str(folder / "model.onnx"), *arguments])
    except SystemExit as stop:  # argparse
        status = int(stop.code or 0)
    assert status == 2
    assert says in capsys.readouterr().err
