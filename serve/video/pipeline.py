"""Decoding, inference and writing at the same time, from any source into any sinks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from cfcontra.errors import CfcontraError
from cfcontra.runtime import Backend, Prediction

from .answers import Answers
from .batches import Batch, Batcher
from .channel import Cancelled, Channel, Worker
from .checkpoint import Checkpoint, Checkpoints
from .memory import Collects, Memory, Remembers
from .sink import Segmented, Sink
from .source import Frame, Source
from .streams import Streams

_LOG = logging.getLogger(__name__)
_WAITING = 2  # batches between two stages
_LARGE = 64 << 20  # bytes of a batch from which on one is enough

Progress = Callable[[int, int | None], None]
MaskFilter = Callable[[Segmented], Segmented]
Observer = Callable[[Segmented], None]


class StoppedError(CfcontraError):
    """Somebody set the `stop` event; nothing is left of the results."""


@dataclass(frozen=True)
class Stage:
    """Where the time of one stage went, in seconds.

    Attributes:
        busy: wall time in which it worked.
        waiting: wall time in which it had nothing to do or nowhere to put it.
        cpu: CPU time of its own thread, without those that codecs and runtimes start.
        queue: share of the queue before it that was full when it came for something, 0–1.
    """

    busy: float
    waiting: float
    cpu: float
    queue: float = 0.0


@dataclass
class Run:
    """One run of the pipeline over a source.

    Args:
        source: opened; its format is that of the sinks.
        backend: the model.
        sinks: opened; they are finished here, and discarded by who has opened them.
        batch: frames in one inference.
        every: the model is asked about every how manieth frame; the others get the mask of
            the last one it was asked about.
        filters: applied in order to every result before the sinks get it; each is called
            with one frame after the other, in order, by one thread, and returns a result with
            another mask (`dataclasses.replace`), the arrays it got being left as they are. One
            that `Remembers` is gone on with where a run was interrupted.
        observers: called in order with every result as the sinks get it; they should be quick.
            One that `Collects` is told of checkpoints.
        progress: called with frames done and frames expected (None if unknown); first before
            any is done here.
        stop: ends the run soon after it is set.
        checkpoints: when and where to note what is written for good, or None.
        memory: what an earlier process remembered at the place from which this one goes on.

    Attributes:
        frames: frames given to the sinks, those of an earlier process included.
        stages: where the time went, when the run is over.
        dropped: frames of a live source that were passed over.
        complete: whether all sinks are finished, if only with what was done before Ctrl-C.
    """

    source: Source
    backend: Backend
    sinks: Sequence[Sink]
    batch: int = 1
    every: int = 1
    filters: Sequence[MaskFilter] = ()
    observers: Sequence[Observer] = ()
    progress: Progress | None = None
    stop: threading.Event | None = None
    checkpoints: Checkpoints | None = None
    memory: Memory = field(default_factory=dict)
    frames: int = 0
    stages: dict[str, Stage] = field(default_factory=dict)
    dropped: int = 0
    complete: bool = False

    def __call__(self) -> None:
        """Take the source to its end.

        Ctrl-C finishes the sinks with the frames done so far before `KeyboardInterrupt` goes
        on. On any error they are left unfinished, and no thread goes on.

        Raises:
            StoppedError: `stop` was set.
            CfcontraError: reading, inference or writing failed.
        """
        form = self.source.format
        live = self.source.live
        self._streams = Streams(self.backend, live)
        self._answers = Answers(self.every)
        asked_to: list[object] = [self._answers, *self.filters]
        self._remembering = [one for one in asked_to if isinstance(one, Remembers)]
        for one in self._remembering:
            one.remember(self.memory)
        pinned, begun = self.backend.device.startswith("cuda"), self._answers.begun
        self._batcher = Batcher(form, self.batch, self.every, live, pinned, begun)
        waiting = 1 if form.width * form.height * 3 * self.batch > _LARGE or live else _WAITING
        self._frames: Channel[Frame] = Channel(1 if live else 2 * self.batch, newest=live)
        self._batches: Channel[Batch] = Channel(waiting)
        self._predicted: Channel[tuple[Batch, Prediction | None]] = Channel(waiting)
        self._results = [Channel[Segmented | Checkpoint](waiting * self.batch) for _ in self.sinks]
        self._drained = threading.Barrier(max(1, len(self.sinks)))
        workers = [
            Worker(f"write {sink.name}", lambda s=sink, c=results: self._write(s, c))  # type: ignore[misc]
            for sink, results in zip(self.sinks, self._results, strict=True)
        ]
        workers.append(Worker("results", self._spread))
        if not live:  # of a live source the newest frame is taken when the model is free
            workers.append(Worker("prepare", self._prepare))
        workers.append(Worker("decode", self._decode))
        started = time.perf_counter()
        for worker in workers:
            worker.start()
        try:
            self._work(workers)
        except BaseException:
            self._interrupt_sinks()
            raise
        finally:
            self.source.interrupt()
            self._drained.abort()
            for channel in self._channels():
                channel.cancel()
            for worker in workers:
                worker.join()
        self.dropped = self._frames.dropped
        self._account(workers, time.perf_counter() - started)

    def _channels(self) -> list[Channel[Any]]:
        return [self._frames, self._batches, self._predicted, *self._results]

    def _work(self, workers: list[Worker]) -> None:
        whole = False
        try:
            self._infer()
            self._predicted.close()
            whole = True
            self._join(workers)
        except Cancelled:
            if self.stop is not None and self.stop.is_set():
                raise StoppedError(f"{self.source.name}: stopped.") from None
        except KeyboardInterrupt:
            self._predicted.close()
            self._interrupt_sinks()
            self._join(workers)
            _raise_first(workers)
            self.complete = True
            for sink in self.sinks:
                if self.frames and not whole and sink.output is not None:
                    _LOG.warning("%s: holds the first %d frames.", sink.output, self.frames)
            raise
        self._join(workers)
        _raise_first(workers)
        self.complete = True

    def _interrupt_sinks(self) -> None:
        for sink in self.sinks:
            sink.interrupt()

    def _join(self, workers: list[Worker]) -> None:
        """Wait for the stages behind the model: they end once `predicted` is closed."""
        for worker in workers:
            if worker.name not in {"decode", "prepare"}:
                worker.join()

    # The stages, each in a thread of its own.

    def _decode(self) -> None:
        try:
            for frame in self.source:
                self._frames.put(frame)
            self._frames.close()
        except Cancelled:
            return
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that infers
            self._frames.close(error)

    def _prepare(self) -> None:
        try:
            for batch in self._batcher(self._frames):
                self._batches.put(batch)
            self._batches.close()
        except Cancelled:
            self._frames.cancel()
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that infers
            self._frames.cancel()
            self._batches.close(error)

    def _infer(self) -> None:
        done = self.frames
        if self.progress is not None:
            self.progress(done, self.source.expected)
        with closing(self._streams(self._prepared())) as results:
            for batch, prediction in results:
                self._batcher.give_back(batch)
                self._predicted.put((batch, prediction))
                done += len(batch.frames)
                if self.progress is not None:
                    self.progress(done, self.source.expected)

    def _prepared(self) -> Iterator[Batch]:
        if self.source.live:
            return self._batcher(self._frames.until(self.stop))
        return self._batches.until(self.stop)

    def _spread(self) -> None:
        """Match frames and masks, filter them, and hand them to every sink."""
        last: Segmented | None = None
        try:
            for batch, prediction in self._predicted:
                for result in self._answers(batch, prediction):
                    last = shown = result
                    for change in self.filters:
                        shown = change(shown)
                    for observe in self.observers:
                        observe(shown)
                    self._hand_out(shown)
            if self.checkpoints is not None and last is not None:
                self._mark(self.checkpoints, last)
            for channel in self._results:
                channel.close()
        except BaseException:
            self._predicted.cancel()
            for channel in self._results:
                channel.cancel()
            raise

    def _hand_out(self, result: Segmented) -> None:
        self._pass_on(result)
        self.frames += 1
        if self.checkpoints is not None and self.checkpoints.due(self.frames):
            self._mark(self.checkpoints, result)

    def _mark(self, checkpoints: Checkpoints, result: Segmented) -> None:
        memory: dict[str, Any] = {}
        for part in self._remembering:
            memory |= part.memory()
        checkpoint = checkpoints.at(result, self.frames, self.source.damaged, memory)
        watching: list[object] = [*self.observers]
        for one in watching:
            if isinstance(one, Collects):  # first: it may know more than the journal, not less
                one.checkpoint(checkpoint.mark)
        self._pass_on(checkpoint)
        if not self.sinks:
            checkpoint.record()

    def _pass_on(self, item: Segmented | Checkpoint) -> None:
        for channel in self._results:
            channel.put(item)

    def _write(self, sink: Sink, results: Channel[Segmented | Checkpoint]) -> None:
        try:
            for item in results:
                if isinstance(item, Checkpoint):
                    item.reached(sink.name, sink.checkpoint())
                else:
                    sink.write(item)
            if self.frames:
                self._drained.wait()  # none gets its name while another may still fail
                sink.finish()
        except (Cancelled, threading.BrokenBarrierError):
            return
        except BaseException:
            self._drained.abort()
            results.cancel()
            raise

    def _account(self, workers: list[Worker], seconds: float) -> None:
        by_name = {worker.name: worker for worker in workers}
        before: dict[str, Channel[Any]] = {"prepare": self._frames, "results": self._predicted}
        behind: dict[str, Channel[Any]] = {"decode": self._frames, "prepare": self._batches}
        for sink, results in zip(self.sinks, self._results, strict=True):
            before[f"write {sink.name}"] = results
        for name, worker in by_name.items():
            taken, given = before.get(name), behind.get(name)
            waiting = (taken.get_seconds if taken else 0.0) + (given.put_seconds if given else 0.0)
            if name == "results":
                waiting += sum(channel.put_seconds for channel in self._results)
            queue = taken.occupancy if taken else 0.0
            busy = max(0.0, worker.seconds - waiting)
            self.stages[name] = Stage(busy, waiting, worker.cpu_seconds, queue)
        inputs = self._frames if self.source.live else self._batches
        waiting = inputs.get_seconds + self._predicted.put_seconds
        self.stages["infer"] = Stage(
            max(0.0, seconds - waiting),
            waiting,
            self._streams.cpu_seconds,
            inputs.occupancy,
        )


def _raise_first(workers: list[Worker]) -> None:
    """Raise what a stage failed with; `Cancelled` only follows from another's failure."""
    for worker in workers:
        if worker.error is not None and not isinstance(worker.error, Cancelled):
            raise worker.error
