"""How close `cfcontra-segment` comes to what the machine can do, and to other ways of doing it.

    python benchmarks/video.py drive.mp4 light-fp32.onnx light-int8.onnx --threads 2 \
        --ultralytics ../ultralytics-venv/bin/python

For each exported model and each size of frames (the video is brought to it first, with its frames
repeated if there are too few):

- every stage alone: wall time and CPU time a frame of decoding, conversion to RGB, model, overlay
  and encoding, with the threads and settings that they have in the pipeline;
- the machine's bound for the pipeline: the larger of the slowest stage's wall time and the CPU
  time of all stages divided by the cores;
- the whole pipeline (`segment_video`), with the share of its time that every queue was full;
- a plain loop, as a competent user writes it: OpenCV reads and prepares, onnxruntime runs the bare
  network, numpy takes the argmax, OpenCV blends, PyAV encodes with the same settings;
- with `--ultralytics`, an interpreter that has Ultralytics installed: `predict(save=True)` of its
  small semantic model with random weights, as a share of its bare network's speed.

All take turns in one process (Ultralytics in its own, which sleeps between its turns); times are
medians of the rounds. Wall times mean little where other programs use the same cores.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch is loaded

import av
import numpy as np
from rows import row, write_rows
from video_ultralytics import Ultralytics

from cfcontra.errors import CfcontraError
from cfcontra.export.graph import NETWORK_INPUT, NETWORK_OUTPUT
from cfcontra.export.plain_loop import PlainLoop
from cfcontra.opencv import cv2
from cfcontra.runtime import Backend, open_backend
from cfcontra.serve.video import VideoReport, segment_video
from cfcontra.serve.video.batches import Batch
from cfcontra.serve.video.codec import DEFAULT_CODEC, find_encoder
from cfcontra.serve.video.overlay import YuvOverlay
from cfcontra.serve.video.reader import VideoReader
from cfcontra.serve.video.shape import RgbConverter
from cfcontra.serve.video.streams import Streams
from cfcontra.serve.video.writer import VideoWriter

OPACITY = 0.5
STAGES = ("decode", "RGB", "model", "overlay", "encode")
ULTRALYTICS_SIZE = (540, 960)  # of the frames of its row in the floors
Spent = tuple[float, float]
"""Milliseconds a frame: wall time, CPU time of the whole process."""


@dataclass
class Setting:
    """One clip and one model."""

    clip: Path
    model: Path
    frames: int
    threads: int
    folder: Path

    @property
    def output(self) -> Path:
        return self.folder / "out.mp4"


def spent(work: Callable[[], object], frames: int) -> Spent:
    """What `work` takes a frame."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return 1e3 * wall / frames, 1e3 * cpu / frames


class Stages:
    """Every stage of the pipeline alone, on a few frames that are used again and again."""

    def __init__(self, setting: Setting, backend: Backend) -> None:
        self._setting = setting
        with VideoReader(setting.clip, setting.threads) as reader:
            self._form = reader.format
            self._images = [frame.image for frame, _ in zip(reader, range(8), strict=False)]
        to_rgb = RgbConverter()
        self._rgb = [to_rgb(image)[None] for image in self._images]
        self._backend = backend
        self._masks = [backend.predict(rgb).mask[0] for rgb in self._rgb]
        self._overlay = YuvOverlay(backend.metadata.label_space, OPACITY, self._form.color)
        self._blended = [
            self._overlay(*pair) for pair in zip(self._images, self._masks, strict=True)
        ]

    def _numbers(self) -> Iterator[int]:
        return (number % len(self._images) for number in range(self._setting.frames))

    def decode(self) -> None:
        with VideoReader(self._setting.clip, self._setting.threads) as reader:
            for _ in reader:
                pass

    def rgb(self) -> None:
        to_rgb, out = RgbConverter(), np.empty_like(self._rgb[0][0])
        for number in self._numbers():
            to_rgb(self._images[number], out)

    def model(self) -> None:
        batches = (Batch([], [True], self._rgb[number]) for number in self._numbers())
        for _ in Streams(self._backend)(batches):
            pass

    def overlay(self) -> None:
        for number in self._numbers():
            self._overlay(self._images[number], self._masks[number])

    def encode(self) -> None:
        setting = self._setting
        step = round(1 / (self._form.rate * self._form.time_base))
        with tempfile.TemporaryDirectory(dir=setting.folder) as work:
            writer = VideoWriter(setting.output, self._form, Path(work), threads=setting.threads)
            for count, number in enumerate(self._numbers()):
                self._blended[number].pts = count * step
                writer.write(self._blended[number])
            writer.finish()

    def measure(self) -> dict[str, Spent]:
        """Each stage once."""
        works = (self.decode, self.rgb, self.model, self.overlay, self.encode)
        return {
            name: spent(work, self._setting.frames)
            for name, work in zip(STAGES, works, strict=True)
        }


class UserLoop(PlainLoop):
    """The plain loop around the network: from file to file, one frame after the other."""

    def run(self, setting: Setting) -> None:
        capture = cv2.VideoCapture(str(setting.clip))
        encoder = find_encoder(DEFAULT_CODEC)
        rate = Fraction(capture.get(cv2.CAP_PROP_FPS)).limit_denominator(1001)
        palette = self.metadata.label_space.palette()[:, ::-1].copy()
        with av.open(str(setting.output), "w") as container:
            stream = container.add_stream(encoder.name, rate=rate, options=encoder.options)
            stream.width = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH))
            stream.height = int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
            stream.pix_fmt = encoder.pix_fmt
            stream.codec_context.thread_count = setting.threads
            while True:
                found, frame = capture.read()
                if not found:
                    break
                mask = self.mask_of(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
                blended = cv2.addWeighted(frame, 1 - OPACITY, palette[mask], OPACITY, 0)
                picture = av.VideoFrame.from_ndarray(blended, format="bgr24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
        capture.release()

    def mask_of(self, frame: Any) -> Any:
        """Train ids `[H, W]` of an RGB frame `[H, W, 3]`."""
        image = self._prepare(frame[None])
        (logits,) = self._session.run([NETWORK_OUTPUT], {NETWORK_INPUT: image})
        height, width = self.metadata.preprocessing.work_size
        full = cv2.resize(logits[0].transpose(1, 2, 0), (width, height))
        rows, columns = self.metadata.preprocessing.scaled_size(*frame.shape[:2])
        mask = full[:rows, :columns].argmax(axis=2).astype(np.uint8)
        return cv2.resize(mask, frame.shape[1::-1], interpolation=cv2.INTER_NEAREST)


@dataclass
class Result:
    """Medians over the rounds."""

    name: str
    stages: dict[str, Spent]
    whole: Spent
    plain: Spent
    queues: dict[str, float]
    cores: int
    ultralytics: Spent | None = None

    @property
    def bound(self) -> float:
        return bound(self.stages, self.cores)


def bound(stages: dict[str, Spent], cores: int) -> float:
    """The least wall time of a frame: of the slowest stage, or all CPU time spread over cores."""
    slowest = max(wall for wall, _ in stages.values())
    return max(slowest, sum(cpu for _, cpu in stages.values()) / cores)


def measure(setting: Setting, rounds: int, ultralytics: Ultralytics | None) -> Result:
    backend = open_backend(setting.model, "cpu", setting.threads, streams=setting.threads)
    stages, loop = Stages(setting, backend), UserLoop(setting.model, "cpu", setting.threads)
    reports: list[VideoReport] = []

    def whole() -> None:
        report = segment_video(
            setting.clip,
            setting.output,
            backend,
            opacity=OPACITY,
            threads=setting.threads,
            overwrite=True,
        )
        reports.append(report)

    taken: dict[str, list[Spent]] = defaultdict(list)
    for turn in range(-1, rounds):
        note(f"  round {turn + 1} of {rounds}" if turn >= 0 else "  warming up")
        found = stages.measure()
        found["whole"] = spent(whole, setting.frames)
        found["plain"] = spent(lambda: loop.run(setting), setting.frames)
        if ultralytics is not None:
            found["ultralytics"] = ultralytics.measure()
        for name, times in found.items() if turn >= 0 else ():
            taken[name].append(times)
    middle = {name: (median(t[0] for t in v), median(t[1] for t in v)) for name, v in taken.items()}
    queues = {
        name: median(report.stages[name].queue for report in reports[1:])
        for name in reports[0].stages
        if name != "decode"
    }
    return Result(
        name=f"{setting.model.stem}, {setting.clip.stem}",
        stages={name: middle[name] for name in STAGES},
        whole=middle["whole"],
        plain=middle["plain"],
        queues=queues,
        cores=setting.threads,
        ultralytics=middle.get("ultralytics"),
    )


def median(values: Iterator[float]) -> float:
    return statistics.median(values)


def make_clip(video: Path, path: Path, size: tuple[int, int], frames: int) -> None:
    """The first frames of a video at another size, repeated where there are too few."""
    with VideoReader(video) as reader:
        images = [frame.image for frame, _ in zip(reader, range(frames), strict=False)]
        form = reader.format
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=form.rate, options={"crf": "20"})
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            image = images[number % len(images)].reformat(width=size[1], height=size[0])
            image.pts, image.time_base = number, 1 / form.rate
            container.mux(stream.encode(image))
        container.mux(stream.encode(None))


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def show(results: list[Result]) -> None:
    heads = [f"{name}: wall, CPU" for name in (*STAGES, "whole")]
    print(f"| ms a frame | {' | '.join(heads)} | bound | share | plain loop | ratio |")
    print(f"| --- {'| --- ' * (len(heads) + 4)}|")
    for result in results:
        times = [*result.stages.values(), result.whole]
        cells = [f"{wall:.1f}, {cpu:.1f}" for wall, cpu in times]
        wall = result.whole[0]
        cells += [f"{result.bound:.1f}", f"{result.bound / wall:.2f}"]
        cells += [f"{result.plain[0]:.1f}", f"{result.plain[0] / wall:.2f}"]
        print(f"| {result.name} | {' | '.join(cells)} |")
    print("\nHow full each stage found its queue:")
    for result in results:
        queues = ", ".join(f"{name} {100 * share:.0f} %" for name, share in result.queues.items())
        print(f"- {result.name}: {queues}")
    for result in results:
        if result.ultralytics is not None:
            bare, whole = result.ultralytics
            own = result.stages["model"][0] / result.whole[0]
            print(
                f"\n{result.name}: {own:.2f} of the bare model's speed; Ultralytics "
                f"{bare / whole:.2f} ({bare:.1f} ms bare, {whole:.1f} ms whole)"
            )


def rows(results: list[Result]) -> list[dict[str, Any]]:
    found = []
    for result in results:
        wall = result.whole[0]
        found.append(row(f"{result.name}: share of the bound", wall, result.bound, "ms", 0.90))
        plain = result.plain[0]
        found.append(row(f"{result.name}: against the plain loop", wall, plain, "ms", 1.25))
        if result.ultralytics is not None:
            bare, whole = result.ultralytics
            share, theirs = result.stages["model"][0] / wall, bare / whole
            name = f"{result.name}: share of the bare model, against Ultralytics'"
            found.append(row(name, share, theirs, "share", 1.6, more_is_better=True))
        for name, (stage_wall, cpu) in result.stages.items():
            found.append(row(f"{result.name}: {name}, CPU against wall", stage_wall, cpu, "ms"))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL.onnx")
    parser.add_argument("--heights", type=int, nargs="+", default=[540, 1080])
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--ultralytics", type=Path, metavar="PYTHON")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="cfcontra-") as folder, ExitStack() as stack:
            results = run(arguments, Path(folder), stack)
    except CfcontraError as error:
        sys.exit(f"error: {error}")
    show(results)
    write_rows(arguments.json, rows(results))


def run(arguments: argparse.Namespace, folder: Path, stack: ExitStack) -> list[Result]:
    cv2.setNumThreads(arguments.threads)
    results = []
    ultralytics: Ultralytics | None = None
    for height in arguments.heights:
        size = (height, round(height * 16 / 9) // 2 * 2)
        clip = folder / f"{size[1]}×{size[0]}.mp4"
        make_clip(arguments.video, clip, size, arguments.frames)
        for model in arguments.models:
            note(f"{model.name} at {clip.stem}")
            setting = Setting(clip, model, arguments.frames, arguments.threads, folder)
            if arguments.ultralytics and size == ULTRALYTICS_SIZE and ultralytics is None:
                work_size = open_backend(model, "cpu", 1).metadata.preprocessing.work_size
                ultralytics = stack.enter_context(
                    Ultralytics(arguments.ultralytics, clip, work_size, setting.threads, folder)
                )
                note(f"  beside Ultralytics {ultralytics.about}")
            beside = ultralytics if size == ULTRALYTICS_SIZE else None
            results.append(measure(setting, arguments.rounds, beside))
    return results


if __name__ == "__main__":
    main()
