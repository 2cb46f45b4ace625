"""The benchmark of exports on a machine that lacks a runtime."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmark_script import load_benchmark

from cfcontra.errors import InputError, MissingDependencyError
from cfcontra.export.bench import PLAIN, Case

REFUSALS = {
    "openvino": MissingDependencyError("OpenVINO is not installed."),
    "torch-bf16": InputError("This CPU does not compute in bf16."),
    "onnxruntime": InputError("broken"),  # a baseline, without which no figure means anything
}


def test_what_cannot_run_here_is_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark = load_benchmark("export")

    def open_backend(path: Path, device: str, threads: int | None, runtime: str) -> None:
        assert (device, threads) == ("cpu", 1)
        if runtime in REFUSALS:
            raise REFUSALS[runtime]

    monkeypatch.setattr(benchmark, "open_backend", open_backend)
    names = ("torch", "torch-compiled", "torch-bf16", "onnxruntime", "openvino", PLAIN)
    cases = [Case(Path("model"), name, (60, 110), 1) for name in names]
    found = [case.runtime for case in benchmark.those_that_open(cases, "cpu", 1)]
    assert found == ["torch", "torch-compiled", "onnxruntime", PLAIN]
    said = capsys.readouterr().err
    assert "left out, model in openvino: OpenVINO is not installed." in said
    assert "left out, model in torch-bf16: This CPU does not compute in bf16." in said
