"""The progress bar's arithmetic, by a clock that the test turns."""

from __future__ import annotations

import io
import re
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from cfcontra.serve.progress import JobProgress
from cfcontra.serve.segment_command import SegmentJob
from cfcontra.serve.video.sources import SourceOptions


class Bar:
    """A bar of videos with the numbers of frames that it expects, and what it shows."""

    def __init__(self, *expected: int | None) -> None:
        self.now = 0.0
        self.console = Console(
            file=io.StringIO(), force_terminal=True, width=100, get_time=lambda: self.now
        )
        self.job = JobProgress(self.console, expected)

    def after(self, seconds: float, call: Callable[..., None], *arguments: Any) -> None:
        self.now += seconds
        call(*arguments)

    @property
    def counts(self) -> tuple[float, float | None]:
        task = self.job._bar.tasks[0]
        return task.completed, task.total

    def columns(self) -> str:
        with self.console.capture() as captured:
            self.console.print(self.job._bar.get_renderable())
        return captured.get()


def test_speed_and_time_left_are_those_of_the_whole_job() -> None:
    bar = Bar(100, 300)
    bar.job.begin(1, "a.mp4")
    bar.job.update(0, 100)
    for done in (10, 20, 30, 40):
        bar.after(2.0, bar.job.update, done, 100)
    assert bar.counts == (40, 400)
    shown = bar.columns()
    assert "1/2 a.mp4" in shown
    assert "40/400" in shown
    assert "5.0 fps" in shown  # ten frames in two seconds
    assert "0:01:12" in shown  # 360 frames at that speed


def test_frames_of_an_earlier_call_are_neither_done_nor_expected() -> None:
    bar = Bar(100, 50)
    bar.job.begin(1, "a.mp4")
    bar.job.update(80, 100)
    assert bar.counts == (0, 70)
    for done in (82, 84, 86):
        bar.after(1.0, bar.job.update, done, 100)
    assert bar.counts == (6, 70)
    assert "2.0 fps" in bar.columns()  # not 80 frames at once
    bar.job.update(100, 100)
    bar.job.end()
    bar.job.begin(2, "b.mp4")
    bar.job.update(0, 50)
    bar.job.update(8, 50)
    assert bar.counts == (28, 70)


def test_what_a_video_has_less_or_more_than_expected_is_set_right() -> None:
    bar = Bar(10, 10, 10)
    for number, done in ((1, 4), (2, 13), (3, 0)):
        bar.job.begin(number, "x.mp4")
        bar.job.update(0, 10)
        bar.job.update(done, 10)
        if number == 2:
            assert bar.counts == (4 + 13, 4 + 13 + 10)
        bar.job.end()
    assert bar.counts == (17, 17)


@pytest.mark.parametrize("expected", [None, 0])
def test_a_video_of_unknown_length_leaves_the_whole_open(expected: int | None) -> None:
    bar = Bar(None, 20)
    bar.job.begin(1, "cam")
    bar.job.update(0, expected)
    bar.job.update(7, expected, "12 ms behind")
    assert bar.counts == (7, None)
    assert "1/2 cam (12 ms behind)" in bar.columns()
    bar.job.end()
    assert bar.counts == (7, 27)


def test_what_is_said_of_a_video_has_its_own_line_of_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = io.StringIO()
    bar, said = (
        Console(file=screen, force_terminal=True, width=80, highlight=False) for _ in range(2)
    )
    monkeypatch.setattr("cfcontra.serve.segment_command.console", said)
    job = SegmentJob(Namespace(output=None), (), SourceOptions(), [])
    with JobProgress(bar, [10, 10]) as progress:
        progress.begin(1, "a.mp4")
        progress.update(10, 10)
        job._say("a.mp4: 10 frames", progress)
        progress.begin(2, "b.mp4")
    before, after = screen.getvalue().split("a.mp4: 10 frames\n")
    assert "1/2 a.mp4" in before
    assert re.search(r"\x1b\[1A\x1b\[2K$", before)  # the bar's line is empty again
    assert "2/2 b.mp4" in after
