"""Whether the memory of `cfcontra-segment` stays flat over a long video.

    python benchmarks/video_memory.py drive.mp4 --hours 1 --plot docs/pictures/video-memory.png

The video's packets are repeated, at a small size, to the length asked for. It goes through the
command with a backend that gives one mask for all frames, so that an hour takes minutes: what is
looked at is the runner, not the model. The resident memory of the process is sampled four times a
second.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from rows import row, write_rows

import cfcontra.runtime
from cfcontra.label_space import LABEL_SPACES
from cfcontra.metadata import ModelMetadata
from cfcontra.preprocessing import Preprocessing
from cfcontra.runtime import Backend, Prediction
from cfcontra.serve.cli import segment
from cfcontra.serve.video.reader import VideoReader

SIZE = (180, 320)
SETTLED = 0.1  # of the run, after which memory should not grow
Samples = list[tuple[float, float]]
"""Share of the time that has passed, MiB."""


class OneMask(Backend):
    """Says the same of every frame, at once."""

    def __init__(self) -> None:
        space = LABEL_SPACES["cityscapes19"]
        self.metadata = ModelMetadata(space, Preprocessing(SIZE), {"name": "one mask"})
        self.device, self.runtime = "cpu", "one mask"

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        mask = np.zeros(frames.shape[:3], np.uint8)
        mask[:, frames.shape[1] // 2 :] = 1
        return Prediction(mask, mask)


def make_loop(video: Path, path: Path, seconds: float) -> int:
    """Write the video small, again and again without encoding again; the number of frames."""
    short = path.with_name("short.mp4")
    with VideoReader(video) as reader, av.open(str(short), "w") as container:
        options = {"preset": "veryfast", "bf": "0"}
        stream = container.add_stream("libx264", rate=reader.format.rate, options=options)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(reader):
            image = frame.image.reformat(width=SIZE[1], height=SIZE[0])
            image.pts, image.time_base = number, 1 / reader.format.rate
            container.mux(stream.encode(image))
        container.mux(stream.encode(None))
    frames = 0
    with av.open(str(short)) as source, av.open(str(path), "w") as target:
        pictures = source.streams.video[0]
        copy = target.add_stream_from_template(pictures)
        packets = [packet for packet in source.demux(pictures) if packet.dts is not None]
        step = packets[1].dts - packets[0].dts
        while frames * step * pictures.time_base < seconds:
            for packet in packets:
                again = av.Packet(bytes(packet))
                again.is_keyframe, again.time_base = packet.is_keyframe, packet.time_base
                again.pts = again.dts = frames * step
                again.duration, again.stream = step, copy
                target.mux(again)
                frames += 1
    return frames


def measure(clip: Path, output: Path) -> tuple[Samples, float]:
    """Memory over a run of the command, and its seconds."""
    readings: list[tuple[float, float]] = []
    ended = threading.Event()

    def sample() -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while not ended.wait(0.25):
            pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
            readings.append((time.perf_counter(), pages * page / 2**20))

    cfcontra.runtime.open_backend = lambda *_, **__: OneMask()
    sampler = threading.Thread(target=sample)
    sampler.start()
    started = time.perf_counter()
    try:
        status = segment([str(clip), "--model", "one.onnx", "--output", str(output), "--quiet"])
    finally:
        seconds = time.perf_counter() - started
        ended.set()
        sampler.join()
    if status:
        sys.exit(status)
    return [((moment - started) / seconds, memory) for moment, memory in readings], seconds


def growth(samples: Samples) -> tuple[float, float]:
    """Mean MiB of the second tenth of the run and of the last: both at least one sample."""
    early = [memory for share, memory in samples if SETTLED <= share < 2 * SETTLED]
    late = [memory for share, memory in samples if share >= 1 - SETTLED]
    return float(np.mean(early)), float(np.mean(late))


def plot(samples: Samples, frames: int, path: Path) -> None:
    """MiB over the frames done, as a PNG."""
    width, height, left, low = 720, 260, 60, 36
    picture = Image.new("RGB", (width, height), (255, 255, 255))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    top = 1.25 * max(memory for _, memory in samples)
    ink, line = (20, 20, 20), (23, 78, 166)

    def place(share: float, memory: float) -> tuple[float, float]:
        across = left + share * (width - left - 16)
        return across, height - low - memory / top * (height - low - 12)

    for mark in range(0, int(top), 100):
        draw.line((place(0, mark), place(1, mark)), (225, 225, 225))
        draw.text((8, place(0, mark)[1] - 8), f"{mark} MiB" if mark else "0", ink, font)
    draw.line([place(*sample) for sample in samples], line, 2)
    draw.text((left, height - low + 10), f"resident memory over {frames:,} frames", ink, font)
    picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=16).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cfcontra-") as folder:
        clip = Path(folder) / "loop.mp4"
        frames = make_loop(arguments.video, clip, 3600 * arguments.hours)
        print(f"{frames} frames of {SIZE[1]}×{SIZE[0]}", file=sys.stderr, flush=True)
        samples, seconds = measure(clip, Path(folder) / "out.mp4")
    early, late = growth(samples)
    peak = max(memory for _, memory in samples)
    print(
        f"{frames} frames at {frames / seconds:.0f} fps: {early:.1f} MiB in the second tenth, "
        f"{late:.1f} MiB in the last, {peak:.1f} MiB at most"
    )
    if arguments.plot:
        plot(samples, frames, arguments.plot)
    name = f"memory over {frames} frames, last tenth against second"
    write_rows(arguments.json, [row(name, late, early, "MiB", 0.95)])


if __name__ == "__main__":
    main()
