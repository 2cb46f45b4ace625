"""An MP4 file whose write errors are noticed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av

_BUFFER = 1 << 20


class Mp4File:
    """An MP4 being written.

    Left to itself, libavformat drops errors of the final writes: on a full disk a short
    file would pass for a whole one. Here every write goes through `_CheckedFile`, and
    what it met is raised by the next `mux` or by `close`.

    Args:
        path: the file, created or replaced.
        movflags: FFmpeg's options of the MP4 muxer.

    Attributes:
        container: for adding streams.
    """

    def __init__(self, path: Path, movflags: str) -> None:
        self._file = _CheckedFile(path)
        self.container = av.open(
            self._file,
            "w",
            format="mp4",
            container_options={"movflags": movflags},
            buffer_size=_BUFFER,
            # Fast start reads the file back while it is being written.
            io_open=lambda *_: io.FileIO(path, "rb"),
        )

    def mux(self, packets: av.Packet[Any] | Sequence[av.Packet[Any]]) -> None:
        """Write packets.

        Raises:
            OSError: the file system refuses.
        """
        try:
            self.container.mux(packets)
        finally:
            self._file.check()

    def close(self) -> None:
        """Complete the file; closing again does nothing.

        Raises:
            OSError: the file system refused anything.
        """
        try:
            self.container.close()
            self._file.close()
        finally:
            self._file.check()

    def __enter__(self) -> Mp4File:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _CheckedFile(io.FileIO):
    """An unbuffered file that writes whole buffers and remembers the first failure."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "wb")
        self._failure: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self._failure = self._failure or error
            raise
        return len(data)

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure
