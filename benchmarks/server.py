"""How much of the machine a server turns into answers: throughput and latency under load.

    python benchmarks/server.py model.onnx --json server.json

Starts `cfcontra-demo`, and lets 1, 8 and 64 clients, in a process of their own, send one picture
after the other. Held against the machine's bound: the CPU time that decoding, the model on one
thread and encoding take for a picture, over the cores that are left to the server (those of the
machine less what the clients and other programs used meanwhile), and against the bare backend:
the model alone, called from as many threads as there are cores.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when torch is loaded

import numpy as np
from rows import row, write_rows
from server_clients import Load

CORES = os.cpu_count() or 1
_CLIENTS = Path(__file__).with_name("server_clients.py")


@dataclass(frozen=True)
class Figures:
    """Figures of one number of clients.

    Attributes:
        clients: at the same time.
        per_second: pictures answered.
        p50: latency in seconds.
        p99: latency in seconds.
        refused: answers with 429.
        failed: any other answer but 200.
        server_cpu: seconds of CPU time of the server for a picture.
        others: cores that other programs used.
        cores: those that were left to the server.
    """

    clients: int
    per_second: float
    p50: float
    p99: float
    refused: int
    failed: int
    server_cpu: float
    others: float
    cores: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--picture", type=Path, help="default: a generated street, 540x960, JPEG")
    parser.add_argument("--output", choices=("mask", "json", "overlay"), default="mask")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cfcontra-") as folder:
        if arguments.picture is None:
            arguments.picture = Path(folder) / "street.jpg"
            arguments.picture.write_bytes(street())
        run(arguments, arguments.picture.read_bytes())


def run(arguments: argparse.Namespace, data: bytes) -> None:
    before = bound(arguments.model, data, arguments.output)
    process, port = start(arguments.model)
    try:
        measure(process.pid, port, arguments, 4, 2.0)  # warm
        figures = [
            measure(process.pid, port, arguments, clients, arguments.seconds)
            for clients in arguments.clients
        ]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
    after = bound(arguments.model, data, arguments.output)
    cpu = {name: (before[name] + after[name]) / 2 for name in before}
    picture = sum(cpu.values())
    bare = bare_backend(arguments.model, data)
    steps = ", ".join(f"{name} {1000 * value:.1f}" for name, value in cpu.items())
    print(f"CPU time of a picture: {1000 * picture:.1f} ms ({steps}); {CORES} cores")
    print(f"bare backend: {bare:.1f} pictures/s\n")
    print("| clients | pictures/s | of the bare backend | p50, ms | p99, ms | server's CPU, ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    results = []
    for found in figures:
        cells = (found.clients, f"{found.per_second:.1f}", f"{found.per_second / bare:.2f}")
        times = [f"{1000 * seconds:.0f}" for seconds in (found.p50, found.p99)]
        times.append(f"{1000 * found.server_cpu:.1f}")
        result = row(
            f"server, {found.clients} clients, against the machine's bound",
            found.per_second,
            found.cores / picture,
            "pictures/s",
            0.85 if found.clients == 8 else None,
            more_is_better=True,
        )
        print(f"| {' | '.join(map(str, (*cells, *times)))} |", end="")
        print(
            f" bound {result['ratio']:.2f}; refused {found.refused}, failed {found.failed}, "
            f"other programs {found.others:.2f} cores"
        )
        seen = {"p50": found.p50, "p99": found.p99, "bare": bare, "other_programs": found.others}
        results.append(result | seen)
    write_rows(arguments.json, results)


def street() -> bytes:
    """A picture as a dashcam's would be."""
    from cfcontra.datasets import open_dataset
    from cfcontra.visualize import encode_jpeg

    return encode_jpeg(open_dataset("streets:noon,size=540x960")[0].image, quality=90)


def bound(model: Path, data: bytes, output: str, repeats: int = 15) -> dict[str, float]:
    """Seconds of CPU time of each step of one picture, on one thread a core, all cores busy."""
    from cfcontra.opencv import cv2
    from cfcontra.runtime import open_backend
    from cfcontra.serve.web.api.answers import JPEG, JSON, PNG, Output, answer
    from cfcontra.serve.web.decoding import read_picture
    from cfcontra.serve.web.models import ServedModel

    cv2.setNumThreads(1)
    backend = open_backend(model, "cpu", 1)
    image = read_picture(io.BytesIO(data))
    prediction = backend.predict(image[None])
    media = {"mask": PNG, "json": JSON, "overlay": JPEG}[output]
    served = ServedModel("bare", model, backend)
    encode = answer(Output(output), media, served, 0.5)
    steps: dict[str, Callable[[], Any]] = {
        "decode": lambda: read_picture(io.BytesIO(data)),
        "model": lambda: backend.predict(image[None]),
        "encode": lambda: encode(image, prediction),
    }
    found = {}
    with ThreadPoolExecutor(CORES) as pool:
        for name, step in steps.items():
            step()
            started = time.process_time()
            list(pool.map(lambda _, step=step: step(), range(repeats * CORES)))
            found[name] = (time.process_time() - started) / (repeats * CORES)
    served.batcher.close()
    return found


def bare_backend(model: Path, data: bytes, seconds: float = 4.0) -> float:
    """Pictures a second of the model alone, on every core."""
    from cfcontra.runtime import open_backend
    from cfcontra.serve.web.decoding import read_picture

    backend = open_backend(model, "cpu", 1)
    frames = read_picture(io.BytesIO(data))[None]
    backend.predict(frames)
    started = time.perf_counter()

    def loop(_: int) -> int:
        done = 0
        while time.perf_counter() - started < seconds:
            backend.predict(frames)
            done += 1
        return done

    with ThreadPoolExecutor(CORES) as pool:
        done = sum(pool.map(loop, range(CORES)))
    return done / (time.perf_counter() - started)


def start(model: Path) -> tuple[subprocess.Popen[str], int]:
    call = "import sys; from cfcontra.serve.cli import demo; sys.exit(demo(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", call, str(model), "--port", "0", "--log", os.devnull],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    found = re.search(r":(\d+)", process.stdout.readline())
    if found is None:
        sys.exit("error: the server did not start")
    return process, int(found[1])


def measure(
    pid: int, port: int, arguments: argparse.Namespace, clients: int, seconds: float
) -> Figures:
    asked = (arguments.picture, arguments.output, port, pid, clients, seconds)
    done = subprocess.run(
        [sys.executable, str(_CLIENTS), *map(str, asked)],
        check=True,
        capture_output=True,
        text=True,
    )
    load = Load(**json.loads(done.stdout))
    others = (load.machine_cpu - load.server_cpu - load.client_cpu) / load.seconds
    answered = len(load.latencies)
    return Figures(
        clients,
        answered / load.seconds,
        float(np.quantile(load.latencies, 0.5)),
        float(np.quantile(load.latencies, 0.99)),
        load.refused,
        load.failed,
        load.server_cpu / max(1, answered),
        max(0.0, others),
        CORES - max(0.0, others) - load.client_cpu / load.seconds,
    )


if __name__ == "__main__":
    main()
