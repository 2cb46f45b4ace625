"""Whatever the clip and the settings: as many frames out as in, each with its time and its mask."""

from __future__ import annotations

import shutil
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from video_clips import GreyBackend, greys_of, level, make_clip, times_of

from cfcontra.serve.video import segment_video

pytestmark = pytest.mark.timeout(300)
RATES = [Fraction(n, d) for n, d in ((25, 1), (30000, 1001), (24000, 1001), (10, 1), (120, 1))]
few = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # a smaller clip explains no failure better
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class OrderlyBackend(GreyBackend):
    """Runs in several threads; later frames are often done first."""

    def __init__(self, streams: int) -> None:
        super().__init__()
        self.streams = streams


@few
@given(
    count=st.integers(1, 40),
    rate=st.sampled_from(RATES),
    size=st.tuples(
        st.integers(2, 60).map(lambda n: 2 * n), st.integers(2, 60).map(lambda n: 2 * n)
    ),
    batch=st.integers(1, 9),
    streams=st.integers(1, 4),
    every=st.integers(1, 5),
    codec=st.sampled_from([("libx264", "mp4"), ("mpeg4", "avi"), ("libx264", "ts")]),
)
def test_constant_rates(
    count: int,
    rate: Fraction,
    size: tuple[int, int],
    batch: int,
    streams: int,
    every: int,
    codec: tuple[str, str],
) -> None:
    times = [number * rate.denominator for number in range(count)]
    base = Fraction(1, rate.numerator)
    check(times, base, rate, size, batch, streams, every, *codec)


@few
@given(
    gaps=st.lists(st.integers(1, 4000), min_size=1, max_size=30),
    size=st.tuples(st.integers(2, 130), st.integers(2, 130)),
    batch=st.integers(1, 9),
    streams=st.integers(1, 4),
    every=st.integers(1, 5),
)
def test_variable_rates_and_odd_sizes(
    gaps: list[int], size: tuple[int, int], batch: int, streams: int, every: int
) -> None:
    times = [int(time) for time in np.cumsum(gaps)]
    check(times, Fraction(1, 1000), Fraction(25), size, batch, streams, every, "ffv1", "mkv")


def check(
    times: list[int],
    time_base: Fraction,
    rate: Fraction,
    size: tuple[int, int],
    batch: int,
    streams: int,
    every: int,
    codec: str,
    container: str,
) -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        source = make_clip(
            folder / f"in.{container}",
            times=times,
            time_base=time_base,
            rate=rate,
            size=size,
            codec=codec,
        )
        output = folder / "out.mp4"
        backend = OrderlyBackend(streams)
        report = segment_video(
            source, output, backend, opacity=0.0, batch=batch, every=every, threads=1
        )
        before, after = times_of(source), times_of(output)
        assert report.frames == len(before) == len(times)
        assert [time - after[0] for time in after] == [time - before[0] for time in before]
        assert sum(backend.batches) == len(range(0, len(times), every))
        for number, grey in enumerate(greys_of(output)):
            assert abs(grey - level(number)) <= 6
        assert sorted(path.name for path in folder.iterdir()) == sorted([source.name, "out.mp4"])
    finally:
        shutil.rmtree(folder)
