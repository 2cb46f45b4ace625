"""Clips that tests make for themselves with PyAV alone, and what can be read from any clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from cfcontra.label_space import LABEL_SPACES
from cfcontra.metadata import ModelMetadata
from cfcontra.preprocessing import Preprocessing
from cfcontra.runtime import Backend, Prediction

SPACE = LABEL_SPACES["camvid11"]
FRAMES = 24


class GreyBackend(Backend):
    """Says class `grey level / 24` for every pixel: deterministic, and no network."""

    def __init__(self) -> None:
        self.metadata = ModelMetadata(SPACE, Preprocessing((32, 32)), {"name": "grey"})
        self.device, self.runtime = "cpu", "test"
        self.batches: list[int] = []

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        self.batches.append(len(frames))
        mask = np.minimum(frames[..., 1] // 24, SPACE.num_classes - 1)
        return Prediction(mask, np.full_like(mask, 200))


def level(number: int) -> int:
    """Grey of frame `number`: neighbours differ clearly."""
    return 20 + (number * 37) % 216


def image(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.full((size[1], size[0], 3), level(number), np.uint8)


def make_clip(
    path: Path,
    *,
    size: tuple[int, int] = (64, 48),
    times: list[int] | None = None,
    time_base: Fraction = Fraction(1, 30000),
    rate: Fraction = Fraction(30000, 1001),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    audio: str | None = None,
    setup: Callable[[Any], None] = lambda stream: None,
    picture: Callable[[int, tuple[int, int]], NDArray[np.uint8]] = image,
) -> Path:
    """Write a clip with PyAV alone; frame n has grey `level(n)` and time `times[n]`."""
    step = round(1 / (rate * time_base))
    times = times if times is not None else [n * step for n in range(FRAMES)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, time_base=time_base)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        setup(stream)
        sound = container.add_stream(audio, rate=48000) if audio else None
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24")
            frame = frame.reformat(format=pix_fmt)
            frame.pts, frame.time_base = time, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound is not None:
            for packet in tones(sound, float(times[-1] * time_base)):
                container.mux(packet)
    return path


def tones(stream: Any, seconds: float) -> Iterator[Any]:
    done = 0
    while done < seconds * 48000:
        wave = np.sin(np.arange(done, done + 1024) * 0.05)[None].repeat(2, axis=0)
        layout = stream.format.name
        kind = {"s16": np.int16, "s32": np.int32, "flt": np.float32}[layout.removesuffix("p")]
        top = 1 if kind is np.float32 else np.iinfo(kind).max
        data = (wave * 0.3 * top).astype(kind)
        if not layout.endswith("p"):
            data = data.T.reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(data, format=layout, layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, done, Fraction(1, 48000)
        yield from stream.encode(frame)
        done += 1024
    yield from stream.encode(None)


def times_of(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [Fraction(frame.pts * frame.time_base) for frame in container.decode(video=0)]


def greys_of(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        frames = (frame.to_ndarray(format="rgb24") for frame in container.decode(video=0))
        return [round(float(frame[..., 1].mean())) for frame in frames]


def sound_of(path: Path) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return []
        packets = container.demux(audio=0)
        return [(p.pts * p.time_base, bytes(p)) for p in packets if p.pts is not None]
