"""The training benchmark compares like with like."""

from __future__ import annotations

import torch
from benchmark_script import load_benchmark


def test_baselines_compute_what_the_package_does() -> None:
    benchmark = load_benchmark("training")
    benchmark.compare_steps(torch.device("cpu"), channels=16, size=(9, 11))
    row = benchmark.row("x", value=2.0, baseline=7.0, unit="ms", floor=4.0)
    assert row["ratio"] == 3.5 and row["holds"] is False
    seconds = benchmark.take_turns({"a": lambda: None}, 2, torch.device("cpu"))
    assert seconds["a"] < 1
    work = benchmark.peak_memory(lambda: torch.ones(1 << 20).sum(), torch.device("cpu"))
    assert 4 << 20 <= work < 5 << 20
