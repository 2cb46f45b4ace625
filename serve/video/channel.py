"""A bounded queue between two threads that can be closed, failed or cancelled from either end."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Cancelled(Exception):  # noqa: N818 - a signal between threads, not a fault
    """The other end has given up; there is no use in going on."""


class Channel(Generic[T]):
    """Hands items from one producer to one consumer, in order.

    Args:
        capacity: items that may wait; `put` blocks while it is reached.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._cancelled = False
        self._error: BaseException | None = None

    def put(self, item: T) -> None:
        """Add an item, waiting for room.

        Raises:
            Cancelled: nobody will take it.
        """
        with self._changed:
            while len(self._items) >= self._capacity and not self._cancelled:
                self._changed.wait()
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
        while True:
            with self._changed:
                while not self._items and not self._closed and not self._cancelled:
                    self._changed.wait()
                if self._cancelled:
                    raise Cancelled
                if not self._items:
                    if self._error is not None:
                        raise self._error
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item


class Worker(threading.Thread):
    """A thread that keeps the exception its work raised.

    Attributes:
        error: what the work raised, None while it runs or when it ended well.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        super().__init__(name=name)
        self._work = work
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self.error = error
