"""Several batches in the model at the same time, given back in their order."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from cfcontra.runtime import Backend, Prediction

from .batches import Batch


class Streams:
    """Takes batches through a backend, as many at a time as gain by it.

    Args:
        backend: the model.
        live: whether the next result matters more than the number of them, so that batches are
            taken one by one.

    Attributes:
        cpu_seconds: CPU time of the threads that called the model, without those that the
            runtime starts.
    """

    def __init__(self, backend: Backend, live: bool = False) -> None:
        self._backend = backend
        self._count = 1 if live else backend.streams
        self.cpu_seconds = 0.0

    def __call__(self, batches: Iterable[Batch]) -> Generator[tuple[Batch, Prediction | None]]:
        """Each batch with what the model says about its images; None where it has none.

        Closing the iterator, or its end, leaves no thread.
        """
        if self._count == 1:
            for batch in batches:
                yield batch, self._take(self._predict(batch))
            return
        pool = ThreadPoolExecutor(self._count, thread_name_prefix="infer")
        waiting: deque[tuple[Batch, Future[tuple[Prediction | None, float]]]] = deque()
        try:
            for batch in batches:
                waiting.append((batch, pool.submit(self._predict, batch)))
                if len(waiting) > self._count:  # one more than run: none waits for this thread
                    yield self._next(waiting)
            while waiting:
                yield self._next(waiting)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _next(
        self, waiting: deque[tuple[Batch, Future[tuple[Prediction | None, float]]]]
    ) -> tuple[Batch, Prediction | None]:
        batch, future = waiting.popleft()
        return batch, self._take(future.result())

    def _predict(self, batch: Batch) -> tuple[Prediction | None, float]:
        started = time.thread_time()
        prediction = self._backend.predict(batch.images) if len(batch.images) else None
        return prediction, time.thread_time() - started

    def _take(self, done: tuple[Prediction | None, float]) -> Prediction | None:
        prediction, seconds = done
        self.cpu_seconds += seconds
        return prediction
