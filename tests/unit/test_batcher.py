"""One model for many callers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from serving import RedBackend, noise, wait_until

from cfcontra.serve.web.batcher import Batcher, Busy


@contextmanager
def batcher(backend: RedBackend, **more: Any) -> Iterator[Batcher]:
    made = Batcher(backend, **more)
    try:
        yield made
    finally:
        backend.open.set()
        made.close()


def test_a_lone_caller_waits_for_nobody() -> None:
    backend = RedBackend()
    with batcher(backend, max_batch=8) as made:
        frames = noise()[None]
        found = made.submit(frames).result(10)
        assert np.array_equal(found.mask, RedBackend().predict(frames).mask)
    assert backend.batches == [1]


def test_only_frames_of_one_size_run_together_and_none_overtakes_its_size() -> None:
    backend = RedBackend()
    with batcher(backend, max_batch=3) as made:
        backend.open.clear()
        first = made.submit(noise()[None])
        wait_until(lambda: backend.batches)
        sizes = [(40, 60), (20, 30), (40, 60), (40, 60), (20, 30), (40, 60)]
        waiting = [made.submit(noise(*size, seed=n)[None]) for n, size in enumerate(sizes)]
        assert made.depth == 6
        backend.open.set()
        first.result(10)
        for number, (one, size) in enumerate(zip(waiting, sizes, strict=True)):
            expected = RedBackend().predict(noise(*size, seed=number)[None])
            found = one.result(10)
            assert np.array_equal(found.mask, expected.mask)
            assert np.array_equal(found.confidence, expected.confidence)
        assert backend.batches[:4] == [1, 3, 2, 1]


def test_a_callers_own_frames_stay_together() -> None:
    backend = RedBackend()
    with batcher(backend, max_batch=2) as made:
        assert len(made.submit(np.stack([noise()] * 5)).result(10).mask) == 5
    assert backend.batches == [5]


def test_a_full_queue_refuses_all_but_the_patient() -> None:
    backend = RedBackend()
    with batcher(backend, queue=2) as made:
        backend.open.clear()
        made.submit(noise()[None])
        wait_until(lambda: backend.batches)
        waiting = [made.submit(noise()[None]) for _ in range(2)]
        with pytest.raises(Busy):
            made.submit(noise()[None])
        patient = made.submit(noise()[None], patient=True)
        waiting[0].cancel()
        waiting[1].cancel()
        made.submit(noise()[None])  # who left makes room
        backend.open.set()
        assert patient.result(10).mask.shape == (1, 40, 60)
        wait_until(lambda: made.depth == 0)
        with pytest.raises(CancelledError):
            waiting[0].result(0)


def test_an_error_reaches_all_who_waited_and_no_others() -> None:
    backend = RedBackend()
    with batcher(backend) as made:
        backend.error = ValueError("broken")
        with pytest.raises(ValueError, match="broken"):
            made.submit(noise()[None]).result(10)
        backend.error = None
        assert made.alive
        assert made.submit(noise()[None]).result(10).mask.shape == (1, 40, 60)


def test_runs_beside_each_other_take_the_narrow_backend() -> None:
    wide, narrow = RedBackend(), RedBackend()
    with batcher(wide, crowd=narrow, workers=2) as made:
        made.submit(noise()[None]).result(10)
        made.submit(noise()[None], alone=False).result(10)
        assert (wide.batches, narrow.batches) == ([1], [1])
        wide.open.clear()
        first = made.submit(noise()[None])
        wait_until(lambda: len(wide.batches) == 2)
        made.submit(noise()[None]).result(10)
        assert narrow.batches == [1, 1]
        wide.open.set()
        first.result(10)


def test_many_threads_get_their_own_results() -> None:
    backend = RedBackend()
    wrong: list[int] = []

    def ask(made: Batcher, number: int) -> None:
        for turn in range(20):
            frames = noise(seed=100 * number + turn)[None]
            found = made.submit(frames, patient=True).result(30)
            if not np.array_equal(found.confidence, frames[..., 1]):
                wrong.append(number)

    with batcher(backend, crowd=RedBackend(), workers=3, max_batch=4) as made:
        threads = [threading.Thread(target=ask, args=(made, n)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert wrong == []


def test_closing_turns_away_who_waits() -> None:
    backend = RedBackend()
    made = Batcher(backend)
    backend.open.clear()
    running = made.submit(noise()[None])
    wait_until(lambda: backend.batches)
    waiting = made.submit(noise()[None])
    closing = threading.Thread(target=made.close)
    closing.start()
    wait_until(waiting.cancelled)
    backend.open.set()
    closing.join(10)
    assert running.result(0).mask.shape == (1, 40, 60)
    assert not made.alive
    with pytest.raises(Busy):
        made.submit(noise()[None])
