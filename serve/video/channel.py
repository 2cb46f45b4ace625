"""A bounded queue between two threads that can be closed, failed or cancelled from either end."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
_POLL = 0.1  # seconds between looks at an event that asks for the end


class Cancelled(Exception):  # noqa: N818 - a signal between threads, not a fault
    """The other end has given up; there is no use in going on."""


class Channel(Generic[T]):
    """Hands items from one producer to one consumer, in order.

    Args:
        capacity: items that may wait; `put` blocks while it is reached.
        newest: instead of blocking, `put` drops what has waited longest.

    Attributes:
        dropped: items that were dropped.
        taken: items that were taken.
        waited: items found waiting by the consumer, summed over all that it took.
        put_seconds: time that `put` blocked for.
        get_seconds: time that the consumer waited for.
    """

    def __init__(self, capacity: int, newest: bool = False) -> None:
        self._capacity, self._newest = capacity, newest
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._cancelled = False
        self._error: BaseException | None = None
        self.dropped = self.taken = self.waited = 0
        self.put_seconds = self.get_seconds = 0.0

    @property
    def occupancy(self) -> float:
        """Share of the capacity that was in use when the consumer came for items, 0–1."""
        return self.waited / (self.taken * self._capacity) if self.taken else 0.0

    def put(self, item: T) -> None:
        """Add an item, waiting for room.

        Raises:
            Cancelled: nobody will take it.
        """
        with self._changed:
            if self._newest and len(self._items) >= self._capacity:
                self._items.popleft()
                self.dropped += 1
            if len(self._items) >= self._capacity and not self._cancelled:
                started = time.perf_counter()
                while len(self._items) >= self._capacity and not self._cancelled:
                    self._changed.wait()
                self.put_seconds += time.perf_counter() - started
            if self._cancelled:
                raise Cancelled
            self._items.append(item)
            self._changed.notify_all()

    def close(self, error: BaseException | None = None) -> None:
        """No more items come; the consumer gets what is queued, then `error` if there is one."""
        with self._changed:
            self._closed = True
            self._error = self._error or error
            self._changed.notify_all()

    def cancel(self) -> None:
        """Drop what is queued; both ends raise `Cancelled` from now on."""
        with self._changed:
            self._cancelled = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        return self.until(None)

    def until(self, stop: threading.Event | None) -> Iterator[T]:
        """The items; ends with `Cancelled` soon after `stop` is set."""
        while True:
            with self._changed:
                found = len(self._items)
                self._wait(stop)
                if self._cancelled or (stop is not None and stop.is_set()):
                    raise Cancelled
                if not self._items:
                    if self._error is not None:
                        raise self._error
                    return
                self.taken += 1
                self.waited += found
                item = self._items.popleft()
                self._changed.notify_all()
            yield item

    def _wait(self, stop: threading.Event | None) -> None:
        if self._items or self._closed or self._cancelled:
            return
        started = time.perf_counter()
        while not self._items and not self._closed and not self._cancelled:
            if stop is None:
                self._changed.wait()
            elif stop.is_set():
                break
            else:
                self._changed.wait(_POLL)
        self.get_seconds += time.perf_counter() - started


class Worker(threading.Thread):
    """A thread that keeps the exception its work raised.

    Attributes:
        error: what the work raised, None while it runs or when it ended well.
        seconds: wall time of the work, once it has ended.
        cpu_seconds: CPU time of this thread alone, without those that codecs start.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        super().__init__(name=name)
        self._work = work
        self._ended = threading.Event()
        self.error: BaseException | None = None
        self.seconds = self.cpu_seconds = 0.0

    def run(self) -> None:
        started = time.perf_counter()
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self.error = error
        finally:
            self.seconds = time.perf_counter() - started
            self.cpu_seconds = time.thread_time()
            self._ended.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end of the work, as often as it takes.

        Before Python 3.13 a `Thread.join` that Ctrl-C interrupts takes the thread for ended.
        """
        if self._ended.wait(timeout):
            super().join(timeout)
