"""`cfcontra-segment` on live streams that are cut and come back."""

from __future__ import annotations

import itertools
import json
import os
import signal
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
from stream_servers import HttpStream, RtspServer, free_port, why_no_rtsp, write_recording

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


def test_a_recording_on_a_server_is_read_whole(model_file: Path, tmp_path: Path) -> None:
    write_recording(tmp_path / "drive.mp4", frames=30)

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path))

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_address[1]}/drive.mp4"
        output = tmp_path / "segmented.mp4"
        command = [address, "--model", str(model_file), "--threads", "2"]
        assert segment([*command, "--output", str(output)]) == 0
    finally:
        server.shutdown()
        server.server_close()
    times, _ = facts(output)
    assert len(times) == 30
    assert times[-1] == pytest.approx(29 / 25, abs=0.01)


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
