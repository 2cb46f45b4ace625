"""Sources that do not wait: cameras and network streams, held on to for as long as it takes."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av

from cfcontra.errors import InputError
from cfcontra.orientation import Orientation

from .audio import AudioTrack
from .backoff import delays
from .channel import Cancelled, Channel
from .feed import Feed, LostError
from .fit import Fit
from .shape import Shaper
from .source import Frame, Source

_LOG = logging.getLogger(__name__)
TIME_BASE = Fraction(1, 90_000)
_DRIFT = Fraction(2)  # seconds by which a stream's own clock may differ from ours
_WAITING = 4  # frames between the connection's thread and the reader
_GOODBYE = 2.0  # seconds for a connection to end in; one that hangs is left to its time-out


class LiveSource(Source):
    """Frames of a camera or stream, through as many connections as it takes.

    Frames are timed by the stream's clock, and by ours where that jumps: while the
    connection is away, time goes on. Those that come in segments, many at a time, are given
    out when it is time for them. After a reconnection, frames of another size are fitted into
    the first one's. A recording on a server (it has a length) is read whole, like a file, and
    is not `live`.

    Args:
        name: for messages, without credentials.
        connect: makes a connection; raises `LostError` where it cannot.
        pauses: seconds between attempts to connect again, made anew each time.

    Attributes:
        reconnected: how often the connection was made anew.

    Raises:
        InputError: the first connection fails, or gives no picture.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Feed],
        pauses: Callable[[], Iterator[float]] = lambda: delays(random.Random()),
    ) -> None:
        self.name = name
        self.reconnected = 0
        self._connect, self._pauses = connect, pauses
        self._ended = threading.Event()
        self._past_damage = 0
        try:
            self._feed = connect()
        except LostError as error:
            raise InputError(f"{error}") from None
        images = iter(self._feed)
        try:
            first = _first(images, name)
        except BaseException:
            self._feed.close()
            raise
        self.live = not self._feed.recorded
        self.format = Shaper(first, name, self._feed.rate, TIME_BASE, self._feed.aspect).format
        if self._feed.seconds is not None:
            self.expected = max(1, round(self._feed.seconds * self.format.rate))
        self._fit = Fit(self.format)
        self._sound = self._feed.audio
        if self._feed.muted:
            _LOG.warning("%s: comes but once, so its sound is left out.", name)
        self._clock = _Clock(self.live, self._sound.start if self._sound is not None else None)
        self._frames: Channel[Frame] = Channel(_WAITING, newest=self.live)
        self._thread = threading.Thread(
            target=self._read, args=(chain([first], images),), name="live source", daemon=True
        )
        self._thread.start()

    @property
    def damaged(self) -> int:  # type: ignore[override]
        """Packets that could not be decoded, over all connections."""
        return self._past_damage + self._feed.damaged

    def __iter__(self) -> Iterator[Frame]:
        try:
            yield from self._frames
        except Cancelled:
            return

    def sound(self, folder: Path) -> AudioTrack | None:
        return self._sound

    def interrupt(self) -> None:
        self._ended.set()
        self._frames.cancel()

    def close(self) -> None:
        self.interrupt()
        self._thread.join(_GOODBYE)

    def _read(self, images: Iterator[av.VideoFrame]) -> None:
        try:
            with closing(self._through_losses(images)) as formed:
                for index, image in enumerate(formed):
                    self._frames.put(Frame(index, image))
            self._frames.close()
        except Cancelled:
            return
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that iterates
            self._frames.close(error)

    def _through_losses(
        self, images: Iterator[av.VideoFrame]
    ) -> Generator[av.VideoFrame, None, None]:
        """Frames of one connection after the other, timed and in the source's format."""
        while True:
            try:
                yield from self._formed(images)
                return
            except LostError as error:
                if not self.live:
                    raise InputError(f"{self.name}: reading it failed ({error}).") from None
                reason = str(error)
            finally:
                self._feed.close()
            self._past_damage += self._feed.damaged
            self._feed.damaged = 0
            if not self._connect_again(reason):
                return
            images = iter(self._feed)

    def _formed(self, images: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        turn: Orientation | None = None
        self._clock.new_connection()
        step = max(1, round(1 / (self.format.rate * TIME_BASE)))
        for image in images:
            if self._ended.is_set():
                return
            if turn is None:
                turn = Orientation.of(image, self.name)
                self._say_new_size(image, turn)
            fitted = self._fit(image, self._feed.aspect, turn)
            fitted.pts = self._clock(image)
            fitted.time_base, fitted.duration = TIME_BASE, step
            if self._feed.in_segments and self._ended.wait(self._clock.early(fitted.pts)):
                return
            yield fitted

    def _connect_again(self, reason: str) -> bool:
        """Try until there is a connection; whether there is one before the end is asked for."""
        lost = time.monotonic()
        for pause in self._pauses():
            _LOG.warning("%s: lost (%s); trying again in %.1f s.", self.name, reason, pause)
            if self._ended.wait(pause):
                return False
            try:
                self._feed = self._connect()
            except LostError as error:
                reason = str(error).removeprefix(f"{self.name}: ").rstrip(".")
                continue
            self.reconnected += 1
            _LOG.warning("%s: back after %.1f s.", self.name, time.monotonic() - lost)
            return True
        return False

    def _say_new_size(self, image: av.VideoFrame, turn: Orientation) -> None:
        width, height = image.width, image.height
        if turn.transposed:
            width, height = height, width
        form = self.format
        if (width, height) != (form.width, form.height):
            _LOG.warning(
                "%s: now gives %d×%d; fitted into the %d×%d that it began with.",
                self.name,
                *(width, height, form.width, form.height),
            )


class _Clock:
    """Timestamps in `TIME_BASE` that increase whatever a stream says.

    Args:
        wall: whether time goes on when no frames come.
        start: of a stream's own timestamps, in seconds; None to begin with its first frame.
    """

    def __init__(self, wall: bool, start: Fraction | None = None) -> None:
        self._wall, self._start = wall, start
        self._started: float | None = None
        self._offset: Fraction | None = None
        self._last = -1

    def new_connection(self) -> None:
        """The stream's own timestamps start anew."""
        self._offset = None if self._start is None else -self._start

    def __call__(self, frame: av.VideoFrame) -> int:
        passed = self._passed()
        own = frame.pts * frame.time_base if frame.pts is not None and frame.time_base else None
        if own is None:
            seconds = passed
        else:
            drifted = self._offset is not None and abs(own + self._offset - passed) > _DRIFT
            if self._offset is None or (self._wall and drifted):
                self._offset = max(passed, (self._last + 1) * TIME_BASE) - own
            seconds = own + self._offset
        self._last = max(self._last + 1, round(seconds / TIME_BASE))
        return self._last

    def early(self, pts: int) -> float:
        """Seconds from now to a time that was given out, 0 where it has passed."""
        return float(max(Fraction(0), pts * TIME_BASE - self._passed()))

    def _passed(self) -> Fraction:
        now = time.monotonic()
        if self._started is None:
            self._started = now
        return Fraction(now - self._started)


def _first(images: Iterator[av.VideoFrame], name: str) -> av.VideoFrame:
    try:
        first = next(images, None)
    except LostError as error:
        raise InputError(f"{name}: {error}.") from None
    if first is None:
        raise InputError(f"{name}: not one frame in it can be decoded.")
    return first
