"""Pipes whose other end does nothing: whatever waits for it can be ended."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import av
import pytest
from serving import RedBackend
from stream_servers import write_recording

from cfcontra.serve.video import segment_video, window
from cfcontra.serve.video.find import Found
from cfcontra.serve.video.outlet import Outlet
from cfcontra.serve.video.sources import SourceOptions, open_source
from cfcontra.serve.video.standard_output import StandardOutputSink
from cfcontra.serve.video.window import Window

pytestmark = pytest.mark.timeout(120)
LONG = 30.0  # seconds after which what hangs is let go, so that its test fails instead of hanging


@contextmanager
def later(seconds: float, call: Callable[..., object], *arguments: Any) -> Iterator[None]:
    timer = threading.Timer(seconds, call, arguments)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with suppress(OSError):
            os.close(end)


@pytest.mark.parametrize("raw", [None, (64, 48)])
@pytest.mark.parametrize("size", [0, 1000])
def test_ctrl_c_ends_the_opening_of_a_silent_pipe(
    tmp_path: Path,
    pipe: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
    raw: tuple[int, int] | None,
    size: int,
) -> None:
    reading, writing = pipe
    os.write(writing, write_recording(tmp_path / "a.mp4", frames=5).read_bytes()[:size])
    monkeypatch.setattr(sys, "stdin", os.fdopen(reading, closefd=False))
    main = threading.main_thread().ident
    assert main is not None
    with (
        later(LONG, os.close, writing),
        later(0.3, signal.pthread_kill, main, signal.SIGINT),
        pytest.raises(KeyboardInterrupt),
    ):
        open_source(Found(Path("-"), Path("stdin")), SourceOptions(raw))


def test_a_reader_who_takes_nothing_is_given_up_once_all_is_to_end(pipe: tuple[int, int]) -> None:
    outlet = Outlet(pipe[1])
    assert outlet.write(bytes(1000))
    with later(LONG, os.close, pipe[0]), later(0.3, outlet.interrupt):
        started = time.monotonic()
        assert not outlet.write(bytes(1_000_000))
        assert time.monotonic() - started > 1.0
    assert outlet.stuck
    assert not outlet.write(b"more")
    outlet.close()


def test_a_slow_reader_gets_all_even_then(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    sent, got = os.urandom(800_000), bytearray()

    def read() -> None:
        while part := os.read(reading, 65536):
            got.extend(part)
            time.sleep(0.1)  # all of it takes longer than one who takes nothing may

    reader = threading.Thread(target=read)
    reader.start()
    outlet = Outlet(writing)
    outlet.interrupt()
    assert outlet.write(sent)
    outlet.close()
    os.close(writing)
    reader.join()
    assert got == sent


def test_a_reader_who_has_gone_is_an_error(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    outlet = Outlet(pipe[1])
    with pytest.raises(BrokenPipeError):
        outlet.write(b"frame")
    outlet.close()
    assert not outlet._thread.is_alive()


def test_ctrl_c_completes_files_beside_a_pipe_that_nobody_reads(
    tmp_path: Path, pipe: tuple[int, int]
) -> None:
    main = threading.main_thread().ident
    assert main is not None
    drive = write_recording(tmp_path / "drive.mp4", frames=60)
    raw, backend = StandardOutputSink("mask", descriptor=pipe[1]), RedBackend()

    def interrupt_when_nothing_moves() -> None:
        seen = -1
        while seen != len(backend.batches) or seen == 0:
            seen = len(backend.batches)
            time.sleep(0.5)
        signal.pthread_kill(main, signal.SIGINT)

    with (
        later(LONG, os.close, pipe[0]),
        later(0.0, interrupt_when_nothing_moves),
        pytest.raises(KeyboardInterrupt),
    ):
        segment_video(drive, tmp_path / "out.mp4", backend, sinks=[raw], threads=1)
    assert 0 < len(backend.batches) < 60
    with av.open(str(tmp_path / "out.mp4")) as container:
        frames = sum(1 for _ in container.decode(video=0))
    assert len(backend.batches) - 1 <= frames <= len(backend.batches)  # one may be on its way


def test_a_window_that_hangs_is_given_up_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = tmp_path / "hanging.py"
    hanging.write_text("import time\nprint('ready', flush=True)\ntime.sleep(600)\n")
    monkeypatch.setattr(window, "_SCRIPT", hanging)
    shown = Window("test")
    with later(LONG, shown._process.kill):
        shown.interrupt()
        with pytest.raises(TimeoutError):
            shown.show(640, 480, bytes(640 * 480 * 3))
        started = time.monotonic()
        shown.close()
    assert time.monotonic() - started < 4.0
    assert not shown._outlet._thread.is_alive()
