"""The preview in a browser and the window: what they show, to whom, and how they end."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator

import av
import cv2
import numpy as np
import pytest

from cfcontra.errors import InputError
from cfcontra.serve.video.preview import Preview
from cfcontra.serve.video.window import Window


@pytest.fixture
def preview() -> Iterator[Preview]:
    server = Preview(0)
    yield server
    server.close()


def picture(red: int) -> av.VideoFrame:
    image = np.zeros((48, 64, 3), np.uint8)
    image[..., 0] = red
    return av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")


def ask(preview: Preview, path: str, host: str | None = None) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", int(preview.url.rpartition(":")[2]), 20)
    connection.request("GET", path, headers={"Host": host} if host else {})
    return connection.getresponse()


def next_jpeg(response: http.client.HTTPResponse) -> np.ndarray:
    while not (line := response.readline()).startswith(b"Content-Length"):
        assert line
    length = int(line.split(b":")[1])
    response.readline()
    data = np.frombuffer(response.read(length), np.uint8)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB))


def until(true: object) -> None:
    deadline = time.monotonic() + 20
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_newest_picture_is_streamed_and_only_while_somebody_watches(preview: Preview) -> None:
    assert not preview.wants
    stream = ask(preview, "/stream.mjpg")
    assert stream.headers["Content-Type"].startswith("multipart/x-mixed-replace")
    until(lambda: preview.wants)
    preview.show(picture(200))
    assert next_jpeg(stream)[24, 32, 0] == pytest.approx(200, abs=6)
    preview.show(picture(50))
    assert next_jpeg(stream)[24, 32, 0] == pytest.approx(50, abs=6)
    stream.close()

    def shown_and_gone() -> bool:
        preview.show(picture(0))
        return not preview._watching

    until(shown_and_gone)
    assert not preview.wants


def test_the_page_shows_the_stream(preview: Preview) -> None:
    page = ask(preview, "/").read()
    assert b"stream.mjpg" in page
    assert ask(preview, "/etc/passwd").status == 404


def test_other_names_for_this_machine_are_turned_away(preview: Preview) -> None:
    assert ask(preview, "/", "evil.example:80").status == 403
    assert ask(preview, "/stream.mjpg", "evil.example").status == 403
    assert ask(preview, "/", "localhost:1").status == 200


def test_it_ends_while_somebody_watches() -> None:
    preview = Preview(0)
    stream = ask(preview, "/stream.mjpg")
    until(lambda: preview.wants)
    closing = threading.Thread(target=preview.close)
    closing.start()
    closing.join(20)
    assert not closing.is_alive()
    assert stream.read() == b""


def test_a_taken_port_is_an_error(preview: Preview) -> None:
    with pytest.raises(InputError, match="taken"):
        Preview(int(preview.url.rpartition(":")[2]))
    with pytest.raises(InputError, match="65535"):
        Preview(70_000)


def test_without_a_display_the_window_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("QT_QPA_PLATFORM", "xcb")
    with pytest.raises(InputError, match="--preview"):
        Window("test")


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if shutil.which("Xvfb") is None:
        pytest.skip("Debian's xvfb is not installed")
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "640x480x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as answer:
        number = answer.readline().strip()
    monkeypatch.setenv("DISPLAY", f":{number}")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    yield number
    server.terminate()
    server.wait()


def test_a_window_takes_pictures_and_closes(display: str) -> None:
    window = Window("test")
    pixels = np.zeros((48, 64, 3), np.uint8).tobytes()
    for _ in range(3):
        window.show(64, 48, pixels)
    assert window._process.poll() is None
    window.close()
    assert window._process.returncode == 0


def test_a_window_that_goes_away_is_noticed(display: str) -> None:
    window = Window("test")
    window._process.kill()
    window._process.wait()
    pixels = bytes(64 * 48 * 3)
    with pytest.raises(OSError):
        for _ in range(100):
            window.show(64, 48, pixels)
    window.close()
