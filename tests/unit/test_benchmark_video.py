"""The video benchmark's arithmetic, and that its clips are what they are said to be."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
from benchmark_script import load_benchmark

from cfcontra.serve.video import write_video


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return load_benchmark("video")


def test_the_bound_is_the_slowest_stage_or_all_cpu_time_over_the_cores(
    benchmark: ModuleType,
) -> None:
    stages = {"decode": (3.0, 5.0), "model": (24.0, 44.0), "encode": (10.0, 15.0)}
    assert benchmark.bound(stages, cores=2) == 32.0
    assert benchmark.bound(stages, cores=16) == 24.0


def test_rows_say_what_holds(benchmark: ModuleType) -> None:
    result = benchmark.Result(
        name="x",
        stages={"model": (20.0, 40.0), "encode": (5.0, 10.0)},
        whole=(26.0, 51.0),
        plain=(31.2, 60.0),
        queues={},
        cores=2,
        ultralytics=(25.0, 50.0),
    )
    share, plain, other, *_ = benchmark.rows([result])
    assert share["ratio"] == pytest.approx(25 / 26)
    assert share["holds"]
    assert plain["ratio"] == pytest.approx(1.2)
    assert not plain["holds"]
    assert other["ratio"] == pytest.approx((20 / 26) / 0.5)
    assert not other["holds"]


def test_clips_have_the_size_and_the_frames_asked_for(
    benchmark: ModuleType, tmp_path: Path
) -> None:
    frames = (np.full((32, 48, 3), 20 * n, np.uint8) for n in range(5))
    write_video(frames, tmp_path / "short.mp4", Fraction(30000, 1001))
    benchmark.make_clip(tmp_path / "short.mp4", tmp_path / "clip.mp4", (64, 96), 12)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.height, stream.width) == (64, 96)
        assert stream.average_rate == Fraction(30000, 1001)
        assert sum(1 for _ in container.decode(stream)) == 12
