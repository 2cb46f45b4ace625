"""Masks and figures as JSON lines: one for the video, then one for each frame."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from cfcontra.files import refusals
from cfcontra.rle import encode_masks
from cfcontra.runtime import FRAME_SCORES
from cfcontra.runtime.mean_confidence import mean_confidence

from .durable import publish
from .outlet import Outlet
from .sink import Context, Segmented, Sink

_PART = "masks.jsonl"


class JsonLinesSink(Sink):
    """Writes what the model says as text.

    The first line describes the video (`type` is `video`): source, size, frame rate, model,
    classes. Each further line is a frame: its number and time, `carried` if its mask is an
    earlier frame's, mean confidence, the model's scores where it gives them, and for each
    class in sight its area in pixels, its share of the frame and its mask in COCO's
    run-length encoding.

    A last line (`type` is `summary`) says what is known at the end, where there is something
    to say: how much masks flickered before and after `--smooth`, what a live source dropped.

    Args:
        output: the file; None for standard output.
        summary: what the last line says; no line if that is nothing.
    """

    name = "jsonl"

    def __init__(self, output: Path | None, summary: Callable[[], dict[str, Any]] = dict) -> None:
        self.output = output
        self._summary = summary
        self._file: IO[bytes] | None = None
        self._outlet: Outlet | None = None
        self._last: tuple[Any, list[dict[str, Any]], float] | None = None

    def open(self, context: Context) -> None:
        self._classes = context.backend.metadata.label_space.classes
        if self.output is None:
            self._outlet = Outlet(1)
        else:
            assert context.work is not None
            self._part = context.work / _PART
            self._open_part(context.state)
        if context.state is None:
            self._line(_about(context))

    def _open_part(self, state: dict[str, Any] | None) -> None:
        assert self.output is not None
        with refusals(self.output):
            if state is not None and not self._part.exists():  # it had been finished already
                self.output.replace(self._part)
            self._file = self._part.open("ab" if state else "wb")
            if state is not None:
                self._file.truncate(state["bytes"])

    def write(self, result: Segmented) -> None:
        frame = result.frame
        classes, confidence = self._encoded(result)
        line: dict[str, Any] = {
            "type": "frame",
            "frame": frame.index,
            "time": round(frame.seconds, 6),
        }
        if frame.name:
            line["name"] = frame.name
        line["carried"] = result.carried
        line["confidence"] = confidence
        if result.scores is not None:
            line["scores"] = {
                name: round(float(score), 6) if np.isfinite(score) else None
                for name, score in zip(FRAME_SCORES, result.scores, strict=True)
            }
        self._line(line | {"classes": classes})

    def _encoded(self, result: Segmented) -> tuple[list[dict[str, Any]], float]:
        if self._last is not None and self._last[0] is result.mask:
            return self._last[1], self._last[2]
        pixels = result.mask.size
        classes = [
            {**entry, "share": round(entry["area"] / pixels, 6)}
            for entry in encode_masks(result.mask, self._classes)
        ]
        confidence = round(mean_confidence(result.confidence), 4)
        self._last = (result.mask, classes, confidence)
        return classes, confidence

    def _line(self, content: dict[str, Any]) -> None:
        data = (json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
        with refusals(self.output or Path("standard output")):
            if self._file is not None:
                self._file.write(data)
            elif self._outlet is not None:
                self._outlet.write(data)

    def checkpoint(self) -> dict[str, Any]:
        if self._file is None or self.output is None:
            return {}
        with refusals(self.output):
            self._file.flush()
        return {"bytes": self._file.tell()}

    def interrupt(self) -> None:
        if self._outlet is not None:
            self._outlet.interrupt()

    def finish(self) -> None:
        if summary := self._summary():
            self._line({"type": "summary", **summary})
        if self._file is not None and self.output is not None:
            with refusals(self.output):
                self._file.close()
                publish(self._part, self.output)

    def discard(self) -> None:
        if self._outlet is not None:
            self._outlet.close()
        if self._file is not None:
            with contextlib.suppress(OSError):  # what could not be written goes anyway
                self._file.close()


def _about(context: Context) -> dict[str, Any]:
    form, metadata = context.source.format, context.backend.metadata
    return {
        "type": "video",
        "source": Path(context.source.name).name,
        "size": [form.height, form.width],
        "rate": f"{form.rate.numerator}/{form.rate.denominator}",
        "every": context.every,
        "model": metadata.model.get("name", ""),
        "checkpoint_sha256": metadata.checkpoint_sha256,
        "label_space": metadata.label_space.name,
        "classes": list(metadata.label_space.classes),
    }
