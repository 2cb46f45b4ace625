"""`--duration`: only the beginning of a source."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path

from cfcontra.errors import InputError

from .audio import AudioTrack
from .source import Frame, Mark, Source


class Limited(Source):
    """The frames of a source's first seconds.

    A live source is left when so much time has passed, whether frames come or not.

    Args:
        source: closed with this one.
        seconds: how much of it.
    """

    def __init__(self, source: Source, seconds: float) -> None:
        self._source, self._seconds = source, seconds
        self.name, self.format, self.live = source.name, source.format, source.live
        self.resumable = source.resumable
        if source.expected is not None:
            self.expected = min(source.expected, round(seconds * source.format.rate) or 1)

    @property
    def damaged(self) -> int:  # type: ignore[override]
        """What the source says."""
        return self._source.damaged

    def __iter__(self) -> Iterator[Frame]:
        if self.live:
            yield from self._until()
            return
        for frame in self._source:
            if frame.seconds >= self._seconds:
                return
            yield frame

    def _until(self) -> Iterator[Frame]:
        alarm = threading.Timer(self._seconds, self._source.interrupt)
        alarm.daemon = True
        alarm.start()
        try:
            yield from self._source
        finally:
            alarm.cancel()

    def skip_to(self, mark: Mark) -> None:
        self._source.skip_to(mark)

    def sound(self, folder: Path) -> AudioTrack | None:
        return self._source.sound(folder)

    def interrupt(self) -> None:
        self._source.interrupt()

    def close(self) -> None:
        self._source.close()


def check_duration(seconds: float | None) -> None:
    """Refuse what is no length of time.

    Raises:
        InputError: not above 0, or without end.
    """
    if seconds is None:
        return
    if not (math.isfinite(seconds) and 0 < seconds <= threading.TIMEOUT_MAX):
        raise InputError(
            f"--duration {seconds}: give seconds above 0, or leave it out to go on to the end."
        )
