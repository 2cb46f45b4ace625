"""Raw frames to standard output, for a program that reads them from a pipe."""

from __future__ import annotations

import logging

from av.video.reformatter import VideoReformatter

from .compose import COMPOSERS
from .outlet import Outlet
from .raw import samples
from .sink import Context, Segmented, Sink

_LOG = logging.getLogger(__name__)


class StandardOutputSink(Sink):
    """Writes the samples of each picture, one frame after the other and nothing between.

    Args:
        kind: what is drawn, one of `COMPOSERS`.
        opacity: share of the class colours, 0–1.
        pixels: layout of the samples, one of `raw.PIXELS`.
        descriptor: where to.
    """

    def __init__(
        self,
        kind: str = "overlay",
        opacity: float = 0.5,
        pixels: str = "rgb24",
        descriptor: int = 1,
    ) -> None:
        self.name = kind
        self._opacity, self._pixels, self._descriptor = opacity, pixels, descriptor
        self._reformatter = VideoReformatter()
        self._outlet: Outlet | None = None

    def open(self, context: Context) -> None:
        form = context.source.format
        space = context.backend.metadata.label_space
        self._compose = COMPOSERS[self.name](space, self._opacity, form)
        self._size = self._compose.form.width, self._compose.form.height
        self._outlet = Outlet(self._descriptor)
        _LOG.info(
            "standard output: %s frames of %d×%d at %s per second.",
            self._pixels,
            *self._size,
            form.rate,
        )

    def write(self, result: Segmented) -> None:
        assert self._outlet is not None
        picture = self._compose(result.frame.image, result.mask)
        if self._pixels != "yuv420p":
            picture = self._reformatter.reformat(picture, format=self._pixels, threads=1)
        for plane in samples(picture, self._pixels, self._size):
            self._outlet.write(plane)

    def interrupt(self) -> None:
        if self._outlet is not None:
            self._outlet.interrupt()

    def finish(self) -> None:
        pass

    def discard(self) -> None:
        if self._outlet is not None:
            self._outlet.close()
