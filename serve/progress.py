"""The progress bar over a job's frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} fps" if speed else "", style="progress.data.speed")


class JobProgress:
    """One bar over all frames of all videos, with speed and time left.

    Frames that an earlier call has done count neither as done nor as expected, so that
    speed and time left are those of the work that there is.

    Args:
        console: where to draw.
        expected: for each video the number of its frames, None where it is not known.
    """

    def __init__(self, console: Console, expected: Sequence[int | None]) -> None:
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _Speed(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._expected = list(expected)
        self._finished = self._done = self._number = 0
        self._before: int | None = None
        self._title = ""
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> JobProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the bar off the screen for the block, which prints past `console`."""
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()

    def begin(self, number: int, name: str) -> None:
        """The next video.

        Args:
            number: from 1.
            name: of the video.
        """
        count = len(self._expected)
        self._number, self._done, self._before = number, 0, None
        title = name if count == 1 else f"{number}/{count} {name}"
        self._title = title
        self._bar.update(self._task, description=title)

    def update(self, done: int, expected: int | None, words: str = "") -> None:
        """Frames of the video done so far and expected in all, and what else to say of it.

        The first count of a video is what an earlier call has done.
        """
        if self._before is None:
            self._before = done
        self._done = done - self._before
        rest = max(done, expected) - self._before if expected else None
        self._expected[self._number - 1] = rest
        if words:
            self._bar.update(self._task, description=f"{self._title} ({words})")
        self._show()

    def end(self) -> None:
        """The video is over, however it ended: what it did not do is expected no more."""
        self._expected[self._number - 1] = self._done
        self._finished += self._done
        self._done = 0
        self._show()

    def _show(self) -> None:
        known = [count for count in self._expected if count is not None]
        total = sum(known) if len(known) == len(self._expected) else None
        self._bar.update(self._task, completed=self._finished + self._done, total=total)
