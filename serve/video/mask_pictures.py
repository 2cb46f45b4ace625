"""Masks as pictures: one indexed PNG per frame, with the classes' colours as its palette."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cfcontra.files import refusals

from ..indexed import encode_mask
from .durable import publish
from .sink import Context, Segmented, Sink

_PART, _REPLACED = "masks", "replaced"


class MaskPicturesSink(Sink):
    """Writes `000000.png`, `000001.png`, … whose pixel values are train ids.

    Frames that were pictures keep their names. The folder gets its name when it is
    complete.

    Args:
        output: the folder.
    """

    name, folder = "png", True

    def __init__(self, output: Path) -> None:
        self.output: Path = output

    def open(self, context: Context) -> None:
        assert context.work is not None
        self._label_space = context.backend.metadata.label_space
        self._part, self._replaced = context.work / _PART, context.work / _REPLACED
        with refusals(self.output):
            if context.state is not None and not self._part.exists():  # it had been finished
                self.output.replace(self._part)
            self._part.mkdir(exist_ok=True)

    def write(self, result: Segmented) -> None:
        name = result.frame.name or f"{result.frame.index:06d}"
        picture = encode_mask(result.mask, self._label_space)
        with refusals(self.output):
            (self._part / f"{name}.png").write_bytes(picture)

    def checkpoint(self) -> dict[str, Any]:
        return {}  # pictures behind the place are written again, under the same names

    def finish(self) -> None:
        with refusals(self.output):
            if self.output.exists():
                self.output.replace(self._replaced)
            publish(self._part, self.output)

    def discard(self) -> None:
        pass  # what is not finished goes with the work folder
