"""Videos as results."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from .audio import AudioTrack
from .codec import DEFAULT_CODEC, find_encoder
from .compose import COMPOSERS
from .sink import Context, Segmented, Sink
from .writer import VideoWriter

_LOG = logging.getLogger(__name__)


class VideoSink(Sink):
    """Writes an MP4 that browsers play, with the source's sound.

    Args:
        output: the file.
        kind: what is drawn, one of `COMPOSERS`.
        opacity: share of the class colours, 0–1.
        codec: name of the encoder.

    Raises:
        InputError: there is no such encoder.
    """

    def __init__(
        self,
        output: Path,
        kind: str = "overlay",
        opacity: float = 0.5,
        codec: str = DEFAULT_CODEC,
    ) -> None:
        find_encoder(codec)
        self.name, self.output = kind, output
        self._path, self._opacity, self._codec = output, opacity, codec
        self._audio: AudioTrack | None = None
        self._writer: VideoWriter | None = None

    def open(self, context: Context) -> None:
        assert context.work is not None
        self._audio = context.source.sound(context.work)
        form = context.source.format
        if (self.name != "side-by-side" and form.width % 2) or form.height % 2:
            _LOG.info("%s: %d×%d is padded to even.", self._path, form.width, form.height)
        self._compose = COMPOSERS[self.name](
            context.backend.metadata.label_space, self._opacity, form
        )
        self._writer = VideoWriter(
            self._path,
            self._compose.form,
            context.work,
            self._codec,
            context.threads,
            context.state,
        )

    def write(self, result: Segmented) -> None:
        assert self._writer is not None
        self._writer.write(self._compose(result.frame.image, result.mask))

    def checkpoint(self) -> dict[str, Any]:
        assert self._writer is not None
        return self._writer.cut()

    def finish(self) -> None:
        assert self._writer is not None
        self._writer.finish(self._audio)

    def discard(self) -> None:
        if self._writer is not None:
            self._writer.discard()
