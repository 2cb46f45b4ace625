"""`cfcontra-segment` on live streams that are cut and come back."""

from __future__ import annotations

import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import pytest
from av.codec.hwaccel import hwdevices_available
from stream_servers import HlsStream, HttpStream, RtspServer, free_port, why_no_rtsp
from video_clips import FRAMES, GreyBackend, make_clip, sound_of, times_of

import cfcontra.runtime
from cfcontra.serve.cli import segment
from cfcontra.serve.video.connect import open_live

PASSWORD = "hunter2"


@pytest.fixture(scope="module")
def needs_rtsp() -> None:
    if (reason := why_no_rtsp()) is not None:
        pytest.skip(reason)


@pytest.fixture
def http_stream() -> Iterator[HttpStream]:
    server = HttpStream()
    server.start()
    yield server
    server.stop()


def wait_for(condition: Callable[[], Any], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def cut_and_bring_back(server: Any, folder: Path, size: tuple[int, int]) -> threading.Thread:
    """Once something is being written: two seconds later the server goes, and comes again."""

    def work() -> None:
        wait_for(lambda: any(folder.glob(".*.part")))
        time.sleep(2)
        server.stop()
        time.sleep(1)
        if isinstance(server, RtspServer):
            server.start(size)
        else:
            server.size = size
            server.start()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def facts(path: Path) -> tuple[list[float], tuple[int, int]]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        size = (stream.codec_context.width, stream.codec_context.height)
        return [float(frame.time or 0) for frame in container.decode(stream)], size


@pytest.mark.usefixtures("needs_rtsp")
def test_rtsp_is_recorded_through_a_cut(
    model_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server = RtspServer("admin", PASSWORD)
    server.start()
    try:
        output = tmp_path / "drive.mp4"
        cutting = cut_and_bring_back(server, tmp_path, (320, 240))
        command = [server.address, "--model", str(model_file), "--duration", "9"]
        assert segment([*command, "--output", str(output), "--threads", "2"]) == 0
        cutting.join(60)
    finally:
        server.stop()
    times, size = facts(output)
    assert size == (160, 96)
    assert all(a < b for a, b in itertools.pairwise(times))
    assert times[-1] > 6
    gap = max(b - a for a, b in itertools.pairwise(times))
    assert gap > 0.9  # time went on while it was away
    out, err = capfd.readouterr()
    assert "reconnected once" in out
    assert "dropped" in out
    assert "lost" in err
    assert "now gives 320×240" in err
    assert PASSWORD not in out + err


@pytest.mark.usefixtures("needs_rtsp")
def test_a_refused_password_is_an_error_without_it(
    model_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server = RtspServer("admin", PASSWORD)
    server.start()
    try:
        wrong = server.address.replace(PASSWORD, "letmein")
        assert segment([wrong, "--model", str(model_file), "--output", "x.mp4"]) == 2
    finally:
        server.stop()
    out, err = capfd.readouterr()
    assert "401" in err.replace("\n", " ")
    assert "***@127.0.0.1" in err.replace("\n", "")
    assert "letmein" not in out + err
    assert "Traceback" not in err


def test_ctrl_c_on_a_stream_leaves_a_playable_file(
    http_stream: HttpStream, model_file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "drive.mp4"
    secret = http_stream.address.replace("://", f"://admin:{PASSWORD}@") + f"?token={PASSWORD}"
    command = [sys.executable, "-c", "import sys; from cfcontra.serve.cli import segment; "]
    command[-1] += "sys.exit(segment(sys.argv[1:]))"
    arguments = [secret, "--model", str(model_file), "--output", str(output), "--threads", "2"]
    process = subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    cutting = cut_and_bring_back(http_stream, tmp_path, (96, 160))
    cutting.join(120)
    time.sleep(3)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    times, size = facts(output)
    assert size == (160, 96)
    assert len(times) > 10
    assert "ms behind" in err
    assert PASSWORD not in out + err
    assert not list(tmp_path.glob(".*"))


def test_a_stalled_stream_is_connected_to_again(http_stream: HttpStream) -> None:
    with open_live(http_stream.address, stall=1.0) as source:
        frames = iter(source)
        for _ in range(5):
            next(frames)
        http_stream.stalled.set()
        wait_for(lambda: len(http_stream._open) > 1)
        http_stream.stalled.clear()
        wait_for(lambda: source.reconnected == 1)
        seen = next(frames)
        assert seen.image.width == 160


def test_what_comes_in_segments_is_given_out_when_it_is_time() -> None:
    """Three seconds are there at once, and then a second every second."""
    with HlsStream() as server, open_live(server.address, 1) as source:
        started = time.monotonic()
        frames = []
        for frame in itertools.islice(source, 90):
            time.sleep(0.01)  # as a model that keeps up with the rate, not with a burst
            frames.append(frame)
        passed = time.monotonic() - started
    assert source.live
    assert frames[-1].index < 100  # hardly one was dropped
    steps = [b.seconds - a.seconds for a, b in itertools.pairwise(frames)]
    assert statistics.median(steps) == pytest.approx(0.04)
    assert frames[-1].seconds - 1 < passed < frames[-1].seconds + 10


def test_json_lines_end_with_what_a_stream_dropped(
    http_stream: HttpStream, model_file: Path, tmp_path: Path
) -> None:
    command = [http_stream.address, "--model", str(model_file), "--duration", "3", "--smooth"]
    command += ["--threads", "2"]
    lines = tmp_path / "drive.jsonl"
    assert segment([*command, "--write", "jsonl", "--output", str(lines)]) == 0
    last = json.loads(lines.read_text().splitlines()[-1])
    assert last["type"] == "summary"
    assert set(last["live"]) == {"latency_ms", "latency_95_ms", "dropped", "reconnected"}
    assert last["live"]["latency_ms"] > 0
    assert set(last["flicker"]) == {"before", "after"}


class Recorder:
    """A server of the files in a folder.

    Attributes:
        left: requests that it still answers.
    """

    def __init__(self, folder: Path) -> None:
        self.left = 1000
        owner = self

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments, directory=str(folder))

            def do_GET(self) -> None:
                owner.left -= 1
                if owner.left < 0:
                    self.send_error(503)
                else:
                    super().do_GET()

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def address(self, name: str) -> str:
        return f"http://admin:{PASSWORD}@127.0.0.1:{self._server.server_address[1]}/{name}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    server = Recorder(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def grey(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that takes no time."""
    monkeypatch.setattr(cfcontra.runtime, "open_backend", lambda *_, **__: GreyBackend())


def run(*arguments: str | Path, status: int = 0) -> None:
    command = [*map(str, arguments), "--model", "m.onnx", "--threads", "1"]
    assert segment(command) == status


@pytest.mark.usefixtures("grey")
def test_a_recording_on_a_server_is_read_whole_with_its_sound(
    recorder: Recorder, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    drive = make_clip(tmp_path / "drive.mkv", audio="aac")
    run(recorder.address("drive.mkv"), "--output", tmp_path / "far.mp4")
    run(drive, "--output", tmp_path / "near.mp4")
    assert capfd.readouterr().err == ""
    sound = sound_of(tmp_path / "far.mp4")
    assert len(sound) > 20
    assert sound == sound_of(tmp_path / "near.mp4")
    far, near = (times_of(tmp_path / name) for name in ("far.mp4", "near.mp4"))
    assert len(far) == FRAMES
    assert [float(t) for t in far] == pytest.approx([float(t) for t in near], abs=0.001)


@pytest.mark.usefixtures("grey")
def test_pictures_outlive_a_server_that_is_gone_when_their_sound_is_fetched(
    recorder: Recorder, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_clip(tmp_path / "drive.mkv", audio="aac")
    recorder.left = 2  # to see what it is, and for the pictures
    run(recorder.address("drive.mkv"), "--output", tmp_path / "out.mp4")
    assert len(times_of(tmp_path / "out.mp4")) == FRAMES
    assert sound_of(tmp_path / "out.mp4") == []
    out, err = capfd.readouterr()
    assert "/drive.mkv: its sound is left out (" in err.replace("\n", "")
    assert PASSWORD not in out + err


def test_what_a_stream_cannot_be_decoded_with_is_refused(
    recorder: Recorder, tmp_path: Path, capfd: pytest.CaptureFixture[str], grey: None
) -> None:
    make_clip(tmp_path / "drive.mkv", times=[0, 1001])
    run(recorder.address("drive.mkv"), "--hwaccel", "nonsense", status=2)
    assert "--hwaccel nonsense: unknown here. There are" in capfd.readouterr().err
    if "drm" not in hwdevices_available():
        pytest.skip("this FFmpeg was built without DRM, which decodes no H.264 of a file")
    run(recorder.address("drive.mkv"), "--hwaccel", "drm", status=2)
    err = capfd.readouterr().err.replace("\n", " ")
    assert "opened with --hwaccel drm" in err
    assert PASSWORD not in err


@pytest.mark.parametrize("source", ["98", "/dev/video98", "rtsp", "http"])
def test_what_is_not_there_is_an_error(
    source: str, model_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if "p" in source[-1:]:
        source = f"{source}://admin:{PASSWORD}@127.0.0.1:{free_port()}/x?key={PASSWORD}"
    assert segment([source, "--model", str(model_file)]) == 2
    out, err = capfd.readouterr()
    assert "no camera /dev/video98" in err.replace("\n", " ") or "refused" in err
    assert PASSWORD not in out + err
    assert "Traceback" not in err
