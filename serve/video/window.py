"""`--show`: the overlay as it comes, in a window.

The window lives in a process of its own: toolkits want the main thread, without a display they
end the process that asked for one, and OpenCV's hangs in a process that has loaded PyAV, whose
libraries for the screen are others.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from cfcontra.errors import InputError

from .compose import Overlay
from .outlet import Outlet
from .shape import RgbConverter
from .sink import Context, Segmented, Sink

_LOG = logging.getLogger(__name__)
_READY = b"ready"
_SCRIPT = Path(__file__).with_name("window_process.py")


class Window:
    """A window that pictures are sent to.

    Args:
        title: of the window.

    Raises:
        InputError: there is no display, or this OpenCV opens no windows.
    """

    def __init__(self, title: str) -> None:
        # By its path, as importing this package would load PyAV.
        command = [sys.executable, "-P", str(_SCRIPT), title]
        self._process = subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the runner, which closes the window
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._outlet = Outlet(self._process.stdin.fileno(), "the window")
        if self._process.stdout.readline().strip() != _READY:
            self.close()
            raise InputError(
                "--show: no window can be opened here; there is no display, or OpenCV was built "
                "without windows. --preview shows the same in a browser."
            )

    def show(self, width: int, height: int, pixels: bytes) -> None:
        """Show a picture, BGR.

        Raises:
            OSError: the user has closed the window, or it hangs while the job is to end.
        """
        if not self._outlet.write(f"{width} {height}\n".encode() + pixels):
            raise TimeoutError

    def interrupt(self) -> None:
        """Let a `show` end soon whose window hangs."""
        self._outlet.interrupt()

    def close(self) -> None:
        """Close it."""
        if self._outlet.stuck:
            self._process.kill()
        self._outlet.close()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:
                _LOG.debug("The window had gone.")
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class WindowSink(Sink):
    """Draws into a `Window`. When the user closes it, the rest goes on without.

    Args:
        window: shared by the sources of a job.
        opacity: share of the class colours, 0–1.
        closed: called once when the user closes the window.
    """

    name = "window"

    def __init__(self, window: Window, opacity: float, closed: Callable[[], None]) -> None:
        self._window, self._opacity, self._closed = window, opacity, closed
        self._gone = False
        self._to_rgb = RgbConverter()

    def open(self, context: Context) -> None:
        space = context.backend.metadata.label_space
        self._overlay = Overlay(space, self._opacity, context.source.format)

    def write(self, result: Segmented) -> None:
        if self._gone:
            return
        picture = self._to_rgb(self._overlay(result.frame.image, result.mask))
        try:
            self._window.show(picture.shape[1], picture.shape[0], picture[..., ::-1].tobytes())
        except OSError:
            self._gone = True
            self._closed()

    def interrupt(self) -> None:
        self._window.interrupt()

    def finish(self) -> None:
        pass

    def discard(self) -> None:
        pass
