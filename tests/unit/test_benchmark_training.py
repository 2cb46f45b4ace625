"""The training benchmark compares like with like."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import torch

_PATH = Path(__file__).parents[2] / "benchmarks" / "training.py"


def test_baselines_compute_what_the_package_does() -> None:
    spec = importlib.util.spec_from_file_location("benchmark_training", _PATH)
    assert spec is not None and spec.loader is not None
    benchmark = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = benchmark
    spec.loader.exec_module(benchmark)
    benchmark.compare_steps(torch.device("cpu"), channels=16, size=(9, 11))
    row = benchmark.row("x", value=2.0, baseline=7.0, unit="ms", floor=4.0)
    assert row["ratio"] == 3.5 and row["holds"] is False
    seconds = benchmark.take_turns({"a": lambda: None}, 2, torch.device("cpu"))
    assert seconds["a"] < 1
    work = benchmark.peak_memory(lambda: torch.ones(1 << 20).sum(), torch.device("cpu"))
    assert 4 << 20 <= work < 5 << 20
