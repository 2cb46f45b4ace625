"""`--preview`: the overlay as it comes, in a browser on this machine (motion JPEG)."""

from __future__ import annotations

import errno
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import av

from cfcontra.errors import InputError, system_reason
from cfcontra.visualize import encode_jpeg

from .compose import Overlay
from .shape import RgbConverter
from .sink import Context, Segmented, Sink

HOST = "127.0.0.1"
_LOCAL_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
_BOUNDARY = "frame"
_FASTEST = 1 / 30  # seconds between pictures
_QUALITY = 80
_LOOK = 0.5  # seconds between looks at whether all is over
_PAGE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>cfcontra</title>
<meta name="viewport" content="width=device-width">
<style>body{margin:0;background:#111;height:100vh;display:grid;place-items:center}
img{max-width:100%;max-height:100vh}</style>
<img src="stream.mjpg" alt="The video with the classes coloured over it">
"""


class Preview:
    """A small server, reachable from this machine alone, that shows the newest picture.

    Pictures are encoded only while somebody watches, once for all who do, and the slow ones
    miss some.

    Args:
        port: 0 for any free one.

    Raises:
        InputError: the port is taken or not allowed.
    """

    def __init__(self, port: int) -> None:
        if not 0 <= port <= 65535:
            raise InputError(f"--preview {port}: give a port from 0 (any free one) to 65535.")
        self._changed = threading.Condition()
        self._picture: av.VideoFrame | None = None
        self._number = 0
        self._encoded: tuple[int, bytes] = (0, b"")
        self._to_rgb = RgbConverter()
        self._watching = 0
        self._closed = False
        self._shown = 0.0
        preview = self

        class Handler(_Handler):
            owner = preview

        try:
            self._server = _Server((HOST, port), Handler)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise InputError(
                    f"--preview {port}: the port is taken by another program. Name another one."
                ) from error
            raise InputError(f"--preview {port}: {system_reason(error)}.") from error
        self.url = f"http://{HOST}:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_LOOK,), name="preview", daemon=True
        )
        self._thread.start()

    @property
    def wants(self) -> bool:
        """Whether somebody watches, and it is time for another picture."""
        return self._watching > 0 and time.monotonic() - self._shown >= _FASTEST

    def show(self, picture: av.VideoFrame) -> None:
        """Let this be the newest picture."""
        with self._changed:
            self._picture, self._number = picture, self._number + 1
            self._shown = time.monotonic()
            self._changed.notify_all()

    def close(self) -> None:
        """Let everybody go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def watch(self, change: int) -> None:
        """Somebody has come (1) or gone (-1)."""
        with self._changed:
            self._watching += change

    def newer_than(self, number: int) -> tuple[int, bytes] | None:
        """The newest picture as JPEG and its number, when there is a newer one; None at the end."""
        with self._changed:
            while self._number <= number and not self._closed:
                self._changed.wait(_LOOK)
            if self._closed or self._picture is None:
                return None
            if self._encoded[0] != self._number:
                jpeg = encode_jpeg(self._to_rgb(self._picture), _QUALITY)
                self._encoded = self._number, jpeg
            return self._encoded


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    owner: Preview

    def do_GET(self) -> None:
        # Another site's page must not read the pictures by a name that leads here.
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        if host not in _LOCAL_NAMES:
            self.send_error(403)
        elif self.path == "/":
            self._start("text/html; charset=utf-8")
            self.wfile.write(_PAGE)
        elif self.path == "/stream.mjpg":
            self._stream()
        else:
            self.send_error(404)

    def _start(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.end_headers()

    def _stream(self) -> None:
        self._start(f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.owner.watch(1)
        try:
            number = 0
            while (newer := self.owner.newer_than(number)) is not None:
                number, jpeg = newer
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}"
                self.wfile.write(f"{head}\r\n\r\n".encode() + jpeg + b"\r\n")
        except OSError:
            pass  # the browser has gone
        finally:
            self.owner.watch(-1)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


class PreviewSink(Sink):
    """Draws for a `Preview` while somebody watches.

    Args:
        preview: shared by the sources of a job.
        opacity: share of the class colours, 0–1.
    """

    name = "preview"

    def __init__(self, preview: Preview, opacity: float = 0.5) -> None:
        self._preview, self._opacity = preview, opacity

    def open(self, context: Context) -> None:
        space = context.backend.metadata.label_space
        self._overlay = Overlay(space, self._opacity, context.source.format)

    def write(self, result: Segmented) -> None:
        if self._preview.wants:
            self._preview.show(self._overlay(result.frame.image, result.mask))

    def finish(self) -> None:
        pass

    def discard(self) -> None:
        pass
