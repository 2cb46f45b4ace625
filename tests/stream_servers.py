"""Small servers of live video that tests cut and bring back."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

SYSTEM_PYTHON = "/usr/bin/python3"
_RTSP_SCRIPT = """
import sys
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
port, width, height = sys.argv[1:4]
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( videotestsrc is-live=true pattern=ball ! video/x-raw,width={width},height={height},"
    "framerate=25/1,format=I420 ! openh264enc gop-size=12 ! h264parse ! rtph264pay name=pay0 "
    "config-interval=1 pt=96 )"
)
factory.set_shared(True)
if len(sys.argv) > 4:
    user, password = sys.argv[4:6]
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("user", "media.factory.access", True)
    permissions.add_permission_for_role("user", "media.factory.construct", True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/drive", factory)
if server.attach(None) == 0:
    sys.exit("cannot listen")
print("ready", flush=True)
GLib.MainLoop().run()
"""


def why_no_rtsp() -> str | None:
    """What keeps an RTSP server from being started here; None if nothing does."""
    if shutil.which(SYSTEM_PYTHON) is None:
        return f"there is no {SYSTEM_PYTHON}"
    probe = (
        "import gi; gi.require_version('GstRtspServer', '1.0');"
        "from gi.repository import Gst, GstRtspServer; Gst.init(None);"
        "assert all(map(Gst.ElementFactory.find, ('openh264enc', 'h264parse', 'rtph264pay')))"
    )
    tried = subprocess.run([SYSTEM_PYTHON, "-c", probe], capture_output=True, timeout=60)
    return (
        None
        if tried.returncode == 0
        else "Debian's gir1.2-gst-rtsp-server-1.0 or gstreamer1.0-plugins-bad is missing"
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RtspServer:
    """GStreamer's RTSP server in a process of its own: a bouncing ball, 25 frames a second."""

    def __init__(self, user: str = "", password: str = "") -> None:
        self.port = free_port()
        self._login = [user, password] if user else []
        self._process: subprocess.Popen[str] | None = None
        secret = f"{user}:{password}@" if user else ""
        self.address = f"rtsp://{secret}127.0.0.1:{self.port}/drive"

    def start(self, size: tuple[int, int] = (160, 96)) -> None:
        command = [SYSTEM_PYTHON, "-c", _RTSP_SCRIPT, *map(str, (self.port, *size)), *self._login]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == "ready"

    def stop(self) -> None:
        """Kill it: connections break as when a camera loses power."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


def picture(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Frame `number` of a test stream, RGB `[H, W, 3]`: a bar that moves over a ramp."""
    width, height = size
    image = np.empty((height, width, 3), np.uint8)
    image[...] = np.linspace(30, 220, width, dtype=np.uint8)[None, :, None]
    left = 5 * number % width
    image[:, left : left + 10] = (220, 40, 40)
    return image


class HttpStream:
    """An endless MPEG-TS of 25 frames a second on a port of this machine.

    Attributes:
        stalled: while set, connections stay open and say nothing.
    """

    def __init__(self, size: tuple[int, int] = (160, 96)) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}/drive.ts"
        self.size = size
        self.stalled = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._open: set[socket.socket] = set()

    def start(self) -> None:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner._open.add(self.connection)
                self.send_response(200)
                self.send_header("Content-Type", "video/mp2t")
                self.end_headers()
                try:
                    for data in _transport_stream(owner):
                        self.wfile.write(data)
                except OSError:
                    pass  # cut, or the client has gone

            def log_message(self, *_: Any) -> None: ...

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Break all connections and listen no more."""
        if self._server is None:
            return
        self._server.shutdown()
        self._server.socket.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._open.clear()
        self._server = None


class HlsStream:
    """Endless HLS of 25 frames a second: three segments are there at once, then one after another.

    Args:
        seconds: of a segment.
    """

    def __init__(self, seconds: int = 1, size: tuple[int, int] = (160, 96)) -> None:
        self._seconds, self._size = seconds, size
        self._started = 0.0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}/drive.m3u8"

    def __enter__(self) -> HlsStream:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.strip("/")
                playlist = name.endswith("m3u8")
                body = owner._playlist() if playlist else owner._segment(int(name[:-3]))
                self.send_response(200)
                kind = "application/vnd.apple.mpegurl" if playlist else "video/mp2t"
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None: ...

        return Handler

    def _playlist(self) -> bytes:
        self._started = self._started or time.monotonic()
        first = int((time.monotonic() - self._started) / self._seconds)
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{self._seconds}"]
        lines.append(f"#EXT-X-MEDIA-SEQUENCE:{first}")
        for number in range(first, first + 3):
            lines += [f"#EXTINF:{self._seconds}.0,", f"{number}.ts"]
        return "\n".join([*lines, ""]).encode()

    def _segment(self, number: int) -> bytes:
        buffer = _Buffer()
        count = 25 * self._seconds
        with av.open(buffer, "w", format="mpegts") as container:
            options = {"preset": "ultrafast", "tune": "zerolatency"}
            stream: Any = container.add_stream("libx264", rate=25, options=options)
            stream.width, stream.height, stream.pix_fmt = *self._size, "yuv420p"
            for index in range(number * count, (number + 1) * count):
                frame = av.VideoFrame.from_ndarray(picture(index, self._size), format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return buffer.take()


class _Buffer:
    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)

    def take(self) -> bytes:
        taken, self.data = bytes(self.data), bytearray()
        return taken


def _transport_stream(server: HttpStream) -> Iterator[bytes]:
    buffer = _Buffer()
    size = server.size
    rate = 25
    with av.open(buffer, "w", format="mpegts") as container:
        options = {"preset": "ultrafast", "tune": "zerolatency", "g": "5"}
        stream: Any = container.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        started = time.monotonic()
        number = 0
        while server._server is not None:
            while server.stalled.is_set():
                time.sleep(0.05)
            frame = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
            yield buffer.take()
            number += 1
            time.sleep(max(0.0, started + number / rate - time.monotonic()))


def write_recording(path: Path, frames: int = 25, size: tuple[int, int] = (160, 96)) -> Path:
    """A short MP4 file, as a recorder offers over HTTP."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
