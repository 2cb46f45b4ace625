"""`cfcontra-bench`: how fast model files are, by runtime, size and batch."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from cfcontra.command import Parser, console, notes, run_command, set_up_logging
from cfcontra.errors import InputError
from cfcontra.files import atomic_write_bytes, atomic_write_text, prepare_output

if TYPE_CHECKING:
    from .bench import Timing

_SIZE = (540, 960)


def main(argv: list[str] | None = None) -> int:
    """Entry point of `cfcontra-bench`."""
    return run_command(_bench, argv)


def _bench(argv: list[str]) -> None:
    arguments = _parse(argv)
    set_up_logging(arguments)
    for output in (arguments.json, arguments.plot):
        if output is not None:
            prepare_output(output, arguments.overwrite)
    if arguments.plot is not None and arguments.plot.suffix != ".png":
        raise InputError(f"--plot {arguments.plot}: the picture's name must end in .png.")
    for name, least in (("repeats", 1), ("warm_up", 0)):
        if getattr(arguments, name) < least:
            raise InputError(f"--{name.replace('_', '-')}: give {least} or more.")
    from cfcontra.runtime import RUNTIMES

    from .bench import cases_of, measure

    models = list(dict.fromkeys(arguments.models))
    sizes, batches = arguments.size or [_SIZE], arguments.batch or [1]
    cases = cases_of(models, arguments.runtime or [], sizes, batches)
    for model in models:
        if model.suffix not in RUNTIMES.values():
            raise InputError(f"{model}: no model file. Give a .pt, an .onnx or an .engine.")
        if not any(case.model == model for case in cases):
            raise InputError(f"{model}: none of the runtimes asked for runs it.")
    with notes.status("starting") as status:
        found = measure(
            cases,
            arguments.device,
            arguments.threads,
            arguments.warm_up,
            arguments.repeats,
            not arguments.no_memory,
            (lambda _: None) if arguments.quiet else lambda text: status.update(text),
        )
    _print(found, arguments)
    if arguments.json is not None:
        content = {
            "warm_up": arguments.warm_up,
            "threads": arguments.threads,
            "timings": [asdict(timing) for timing in found],
        }
        atomic_write_text(arguments.json, json.dumps(content, indent=2) + "\n")
    if arguments.plot is not None:
        from cfcontra.visualize import encode_png

        from .bench_plot import draw_timings

        atomic_write_bytes(arguments.plot, encode_png(draw_timings(found)))


def _parse(argv: list[str]) -> argparse.Namespace:
    from cfcontra.runtime import RUNTIMES

    parser = Parser(
        "bench",
        "Time model files. All are called in turns, round by round; for each exported file a plain "
        "loop (OpenCV and numpy around the bare network) is timed beside.",
    )
    parser.add_argument(
        "models", nargs="+", type=Path, metavar="MODEL", help=".pt, .onnx or .engine"
    )
    parser.add_argument(
        "--runtime",
        action="append",
        choices=[*RUNTIMES],
        help="runs the models; may be repeated (default: each file's own)",
    )
    parser.add_argument(
        "--size",
        action="append",
        type=_size,
        metavar="HxW",
        help="of the frames; may be repeated (default: 540x960)",
    )
    parser.add_argument(
        "--batch",
        action="append",
        type=_positive,
        metavar="N",
        help="frames per call; may be repeated (default: 1)",
    )
    parser.add_argument("--repeats", type=int, default=30, metavar="N", help="rounds (default: 30)")
    parser.add_argument(
        "--warm-up", type=int, default=3, metavar="N", help="rounds before (default: 3)"
    )
    parser.add_argument(
        "--no-memory", action="store_true", help="do not run each once more to see its memory"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures here")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="also draw them")
    parser.add_device()
    parser.add_overwrite()
    return parser.parse_args(argv)


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([1-9]\d{0,4})[xX]([1-9]\d{0,4})", text)
    if not match:
        raise argparse.ArgumentTypeError(f"'{text}' is not HEIGHTxWIDTH, e.g. 540x960")
    return int(match[1]), int(match[2])


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of frames")
    return int(text)


def _print(found: list[Timing], arguments: argparse.Namespace) -> None:
    threads = arguments.threads or "all"
    rounds = f"{arguments.repeats} rounds after {arguments.warm_up}, threads: {threads}"
    memory = "; MiB of the GPU" if any(t.device.startswith("cuda") for t in found) else ""
    _line(f"{rounds}; milliseconds per call{memory}")
    names = [f"{timing.model} ({timing.precision})" for timing in found]
    runtimes = [f"{timing.runtime} on {timing.device}" for timing in found]
    left, right = max(map(len, (*names, "model"))), max(map(len, (*runtimes, "runtime")))
    for size, batch in dict.fromkeys((timing.size, timing.batch) for timing in found):
        _line(f"\n{batch} × {size[0]}x{size[1]}")
        heads = f"{'p50':>8} {'p99':>8} {'fps':>8} {'× plain':>8} {'MiB':>6}"
        if any(timing.stages for timing in found):
            heads += "  prepare + network + mask (+ transfer)"
        _line(f"{'model':<{left}}  {'runtime':<{right}} {heads}")
        for name, runtime, timing in zip(names, runtimes, found, strict=True):
            if (timing.size, timing.batch) != (size, batch):
                continue
            ratio = "" if timing.ratio is None else f"{timing.ratio:.2f}"
            memory = "" if timing.memory is None else f"{timing.memory:.0f}"
            stages = " + ".join(f"{value:.1f}" for value in timing.stages.values())
            figures = (
                f"{timing.p50:8.1f} {timing.p99:8.1f} {timing.fps:8.1f} {ratio:>8} {memory:>6}"
            )
            _line(f"{name:<{left}}  {runtime:<{right}} {figures}  {stages}".rstrip())


def _line(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)
