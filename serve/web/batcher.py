"""Many callers, one model: frames that wait at the same time run together.

Of the libraries for this on PyPI, those that are alive bring a server of their own (LitServe,
MOSEC, BentoML, Ray Serve), and those that run inside a process (`batched`, `async-batcher`) bound
neither their queue nor a caller's wait.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from cfcontra.runtime import Backend, Prediction


class Busy(Exception):  # noqa: N818 - a state, not a fault
    """The queue is full; come again later."""


@dataclass(frozen=True)
class _Item:
    frames: NDArray[np.uint8]
    future: Future[Prediction]
    alone: bool


class Batcher:
    """Runs a backend for callers in any thread.

    No frame is held back to wait for company: a worker that comes free takes what has
    gathered meanwhile, of one frame size, up to `max_batch`. So a lone caller waits for
    nobody, and batches grow by themselves under load.

    Args:
        backend: the model, for a run that has the machine to itself.
        crowd: the same on fewer threads, for runs beside others; None for the same backend.
        workers: runs at the same time.
        max_batch: frames in one run; a caller's own frames are never split.
        queue: frames that may wait; more raise `Busy`.

    Attributes:
        on_batch: called with the result and the seconds of every run, None for nobody.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        crowd: Backend | None = None,
        workers: int = 1,
        max_batch: int = 1,
        queue: int = 128,
    ) -> None:
        self._backend, self._crowd = backend, crowd or backend
        self._max_batch, self._queue, self._workers = max_batch, queue, workers
        self.on_batch: Callable[[Prediction, float], None] | None = None
        self._items: deque[_Item] = deque()
        self._changed = threading.Condition()
        self._idle = 0  # workers that run nothing; one that starts counts itself
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"model-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def depth(self) -> int:
        """Frames that wait."""
        with self._changed:
            return self._depth()

    @property
    def alive(self) -> bool:
        """Whether every worker still works."""
        return not self._closed and all(thread.is_alive() for thread in self._threads)

    def submit(
        self, frames: NDArray[np.uint8], *, alone: bool = True, patient: bool = False
    ) -> Future[Prediction]:
        """Put frames `[n, H, W, 3]` in the queue.

        Cancelling the future takes them out again if they have not begun.

        Args:
            frames: uint8 `[n, H, W, 3]`.
            alone: whether the caller knows of no others that will want the machine meanwhile.
            patient: for a caller that hands in one batch at a time and may not be turned away.

        Raises:
            Busy: the queue is full.
        """
        item = _Item(frames, Future(), alone)
        with self._changed:
            if self._closed:
                raise Busy("the server is stopping")
            if not patient and self._depth() + len(frames) > self._queue:
                self._drop_cancelled()
                if self._depth() + len(frames) > self._queue:
                    raise Busy("too many pictures wait for this model")
            self._items.append(item)
            self._changed.notify()
        return item.future

    def close(self) -> None:
        """Let what runs end, and turn away what waits."""
        with self._changed:
            self._closed = True
            for item in self._items:
                item.future.cancel()
            self._items.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _depth(self) -> int:
        return sum(len(item.frames) for item in self._items)

    def _drop_cancelled(self) -> None:
        self._items = deque(item for item in self._items if not item.future.cancelled())

    def _work(self) -> None:
        while True:
            with self._changed:
                self._idle += 1
                self._changed.wait_for(lambda: self._items or self._closed)
                items = self._take()
                self._idle -= 1
                others = self._items or self._idle < self._workers - 1
                alone = not others and all(item.alone for item in items)
                if self._closed and not items:
                    return
            running = [item for item in items if item.future.set_running_or_notify_cancel()]
            if running:
                self._run(running, self._backend if alone else self._crowd)

    def _take(self) -> list[_Item]:
        """The oldest item and others of its size, leaving a share to other idle workers."""
        taken: list[_Item] = []
        room = min(self._max_batch, -(-self._depth() // self._idle))
        left: deque[_Item] = deque()
        for item in self._items:
            fits = not taken or (
                item.frames.shape[1:] == taken[0].frames.shape[1:] and len(item.frames) <= room
            )
            if fits:
                taken.append(item)
                room -= len(item.frames)
            else:
                left.append(item)
        self._items = left
        return taken

    def _run(self, items: list[_Item], backend: Backend) -> None:
        frames = [item.frames for item in items]
        started = time.perf_counter()
        try:
            together = frames[0] if len(frames) == 1 else np.concatenate(frames)
            prediction = backend.predict(together)
        except BaseException as error:  # noqa: BLE001 - raised again by who waits for the result
            for item in items:
                item.future.set_exception(error)
            return
        if self.on_batch is not None:
            self.on_batch(prediction, time.perf_counter() - started)
        start = 0
        for item in items:
            stop = start + len(item.frames)
            item.future.set_result(_part(prediction, start, stop))
            start = stop


def _part(prediction: Prediction, start: int, stop: int) -> Prediction:
    """Some frames' share of a prediction."""
    values = {field.name: getattr(prediction, field.name) for field in fields(prediction)}
    return replace(
        prediction,
        **{name: value[start:stop] for name, value in values.items() if value is not None},
    )
