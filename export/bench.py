"""Timing model files in their runtimes, in turns, so that what else the machine does hits all."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cfcontra.opencv import cv2
from cfcontra.runtime import RUNTIMES, Backend, open_backend

from .bench_memory import peak_memory
from .plain_loop import PlainLoop

PLAIN = "plain loop"
"""The baseline: frames prepared and masks made in numpy, the bare network in onnxruntime."""
# Threads of the runtime before spin on for a while after its call, on cores that the next needs.
_PAUSE = 0.05


@dataclass(frozen=True)
class Case:
    """One thing to time."""

    model: Path
    runtime: str
    size: tuple[int, int]
    batch: int


@dataclass(frozen=True)
class Timing:
    """What one case took.

    Attributes:
        model: the file's name, with so much of its path as tells it from the others.
        runtime: name and version of what ran it, with its precision.
        device: where it ran.
        precision: of the file.
        size: height and width of the frames.
        p50, p90, p99: milliseconds per call, of `repeats` calls.
        fps: frames per second at the median.
        ratio: how many times as fast as the plain loop on the same frames; None without one.
        stages: milliseconds of preparing, network, mask and transfer, where the runtime tells.
        memory: MiB that a process needs at most, with this model alone, on a GPU those of the
            GPU; None if not measured.
    """

    model: str
    runtime: str
    device: str
    precision: str
    size: tuple[int, int]
    batch: int
    repeats: int
    p50: float
    p90: float
    p99: float
    fps: float
    ratio: float | None
    stages: dict[str, float]
    memory: float | None


def cases_of(
    models: Sequence[Path],
    runtimes: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    batches: Sequence[int],
) -> list[Case]:
    """Every model in every runtime that runs it, and the plain loop for each `.onnx`.

    Args:
        runtimes: names of `RUNTIMES`; empty takes each file's default.
    """
    found = []
    for model in models:
        fitting = [name for name, suffix in RUNTIMES.items() if suffix == model.suffix]
        chosen = [name for name in runtimes if name in fitting] if runtimes else fitting[:1]
        plain = [PLAIN] if chosen and model.suffix == ".onnx" else []
        found += [
            Case(model, name, size, batch)
            for size in sizes
            for batch in batches
            for name in (*chosen, *plain)
        ]
    return found


def measure(
    cases: Sequence[Case],
    device: str,
    threads: int | None,
    warm_up: int,
    repeats: int,
    memory: bool,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Timing]:
    """Time all cases, one call of each after the other, round by round.

    Args:
        warm_up: rounds that are not counted.
        repeats: rounds that are.
        memory: whether each model is also run once in a process of its own.

    Raises:
        InputError: a model or a runtime that cannot be opened.
    """
    names = names_of([case.model for case in cases])
    opened: dict[tuple[Path, str], Backend | PlainLoop] = {}
    for case in cases:
        if (case.model, case.runtime) not in opened:
            progress(f"opening {names[case.model]} in {case.runtime}")
            opened[case.model, case.runtime] = _open(case, device, threads)
    taken: list[list[float]] = [[] for _ in cases]
    for turn in range(-warm_up, repeats):
        progress(f"round {turn + 1} of {repeats}" if turn >= 0 else "warming up")
        for case, times in zip(cases, taken, strict=True):
            frames = make_frames(case.batch, case.size)
            runner = opened[case.model, case.runtime]
            time.sleep(_PAUSE)
            started = time.perf_counter()
            runner.predict(frames)
            if turn >= 0:
                times.append(time.perf_counter() - started)
    medians = {case: float(np.median(times)) for case, times in zip(cases, taken, strict=True)}
    found = []
    for case, times in zip(cases, taken, strict=True):
        runner = opened[case.model, case.runtime]
        progress(f"looking into {names[case.model]} in {case.runtime}")
        plain = medians.get(Case(case.model, PLAIN, case.size, case.batch))
        p50, p90, p99 = (1e3 * float(value) for value in np.percentile(times, (50, 90, 99)))
        frames = make_frames(case.batch, case.size)
        found.append(
            Timing(
                model=names[case.model],
                runtime=runner.runtime,
                device=runner.device,
                precision=str(runner.metadata.certificate.get("precision", "fp32")),
                size=case.size,
                batch=case.batch,
                repeats=repeats,
                p50=p50,
                p90=p90,
                p99=p99,
                fps=case.batch / medians[case],
                ratio=None if plain is None else plain / medians[case],
                stages={name: 1e3 * value for name, value in runner.stages(frames).items()},
                memory=None
                if not memory or case.runtime == PLAIN
                else peak_memory(case.model, case.runtime, device, threads, frames.shape),
            )
        )
    return found


def names_of(models: Sequence[Path]) -> dict[Path, str]:
    """The shortest end of each file's path that no other of the files has."""
    files = {model: model.absolute().parts for model in models}
    found = {}
    for model, parts in files.items():
        others = [other for other in files.values() if other != parts]
        length = 1
        while any(other[-length:] == parts[-length:] for other in others):
            length += 1
        found[model] = str(Path(*parts[-length:]))
    return found


def make_frames(batch: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Blocky frames uint8 `[N, H, W, 3]`, always the same."""
    coarse = np.random.default_rng(0).integers(0, 256, (batch, 9, 16, 3), dtype=np.uint8)
    height, width = size
    scaled = [cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in coarse]
    return np.stack(scaled).astype(np.uint8)


def _open(case: Case, device: str, threads: int | None) -> Any:
    if case.runtime == PLAIN:
        return PlainLoop(case.model, device, threads)
    return open_backend(case.model, device, threads, case.runtime)
