"""A real server in a process of its own: load, a kill in the middle of a job, its OpenAPI."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

from cfcontra.runtime import open_backend
from cfcontra.serve.video import write_video
from cfcontra.visualize import encode_png

pytestmark = pytest.mark.timeout(600)


@dataclass
class Running:
    """A server's process and where it listens."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def memory(self) -> float:
        """Resident, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        assert found is not None
        return int(found[1]) / 1024

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


def start(model: Path, folder: Path, *more: str) -> Running:
    log = folder / "log.jsonl"
    arguments = [str(model), "--port", "0", "--threads", "2", "--scratch", str(folder / "private")]
    arguments += ["--log", str(log), *more]
    call = f"import sys; from cfcontra.serve.cli import demo; sys.exit(demo({arguments!r}))"
    process = subprocess.Popen(
        [sys.executable, "-c", call],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    found = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
    assert found is not None
    return Running(process, int(found[1]), log)


@pytest.fixture(scope="module")
def server(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = start(model_file, tmp_path_factory.mktemp("server"))
    yield running
    assert running.end() == 0
    assert not list(running.log.parent.glob("private/server-*"))


def test_it_listens_on_this_machine_alone(server: Running) -> None:
    found = psutil.Process(server.process.pid).net_connections("inet")
    listening = [tuple(entry.laddr) for entry in found if entry.status == psutil.CONN_LISTEN]
    assert listening == [("127.0.0.1", server.port)]  # `start` gives no --host


def noise(height: int = 90, width: int = 160, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def post(server: Running, path: str, data: bytes) -> Any:
    request = urllib.request.Request(server.address + path, data, method="POST")
    with urllib.request.urlopen(request, timeout=120) as answer:
        return answer.read()


def get(server: Running, path: str) -> Any:
    with urllib.request.urlopen(server.address + path, timeout=60) as answer:
        return json.load(answer)


def test_the_mask_is_the_backends(server: Running, model_file: Path) -> None:
    image = noise()
    expected = open_backend(model_file, "cpu", 2).predict(image[None]).mask[0]
    found = Image.open(io.BytesIO(post(server, "/v1/segment?output=mask", encode_png(image))))
    assert np.array_equal(np.asarray(found), expected)


def hammer(server: Running, clients: int, seconds: float) -> tuple[Counter[int], list[float]]:
    """Clients that send one picture after the other, each on its own connection."""
    data = encode_png(noise())
    end = time.monotonic() + seconds
    headers = {"Content-Type": "image/png"}

    def client(_: int) -> tuple[Counter[int], list[float]]:
        statuses: Counter[int] = Counter()
        latencies = []
        connection = HTTPConnection("127.0.0.1", server.port, timeout=120)
        while time.monotonic() < end:
            sent = time.monotonic()
            connection.request("POST", "/v1/segment?output=mask", data, headers)
            answer = connection.getresponse()
            answer.read()
            statuses[answer.status] += 1
            if answer.status == 429:
                assert answer.headers["Retry-After"]
                time.sleep(0.2)
            else:
                latencies.append(time.monotonic() - sent)
        connection.close()
        return statuses, latencies

    with ThreadPoolExecutor(clients) as pool:
        results = list(pool.map(client, range(clients)))
    total = sum((statuses for statuses, _ in results), Counter[int]())
    return total, [latency for _, latencies in results for latency in latencies]


def withstands(server: Running, seconds: float) -> dict[str, float]:
    """100 clients get answers or 429; afterwards the memory is back where it was."""
    hammer(server, 100, 2)  # what is allocated once
    before = server.memory()
    statuses, latencies = hammer(server, 100, seconds)
    assert set(statuses) <= {200, 429}, statuses
    assert statuses[200] > 0
    deadline = time.monotonic() + 30
    while server.memory() > before + 60 and time.monotonic() < deadline:
        time.sleep(0.5)
    after = server.memory()
    assert after <= before + 60, f"{before:.0f} MiB before, {after:.0f} MiB after"
    p50, p99 = np.quantile(latencies, (0.5, 0.99)).tolist()
    return {
        "answers": statuses[200],
        "refused": statuses[429],
        "p50": p50,
        "p99": p99,
        "before": before,
        "after": after,
    }


def test_a_hundred_clients(server: Running, record_property: Any) -> None:
    for name, value in withstands(server, 5).items():
        record_property(name, value)


@pytest.mark.slow
@pytest.mark.parametrize("queue", ["128", "32"])
def test_a_hundred_clients_for_a_minute(
    model_file: Path, tmp_path: Path, queue: str, record_property: Any, capsys: Any
) -> None:
    server = start(model_file, tmp_path, "--max-queue", queue)
    try:
        found = withstands(server, 60)
    finally:
        server.end()
    with capsys.disabled():
        sys.stdout.write(f"\nqueue {queue}: {found}\n")
    for name, value in found.items():
        record_property(name, value)
    assert (found["refused"] > 0) == (queue == "32")


def test_a_kill_in_the_middle_of_a_job_leaves_nothing_for_long(
    model_file: Path, tmp_path: Path
) -> None:
    film = tmp_path / "film.mp4"
    write_video((noise(180, 320, n % 8) for n in range(300)), film, Fraction(25))
    server = start(model_file, tmp_path)
    job = json.loads(post(server, "/v1/video", film.read_bytes()))
    deadline = time.monotonic() + 60
    while get(server, f"/v1/jobs/{job['id']}")["frames"] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    server.process.kill()
    server.process.wait(30)
    private = tmp_path / "private"
    assert list(private.glob("server-*/jobs/*/upload"))
    again = start(model_file, tmp_path)
    try:
        assert len(list(private.glob("server-*"))) == 1
        assert not [path for path in private.rglob("*") if path.suffix == ".mp4"]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            get(again, f"/v1/jobs/{job['id']}")
        assert post(again, "/v1/segment?output=mask", encode_png(noise()))
    finally:
        assert again.end() == 0
    assert not list(private.glob("server-*"))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_lines_of_curl_in_the_docs_work(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("curl")]
    assert len(lines) >= 8
    Image.fromarray(noise()).save(tmp_path / "frame.jpg")
    Image.fromarray(noise(seed=1)).save(tmp_path / "next.jpg")
    write_video((noise(seed=n) for n in range(5)), tmp_path / "drive.mp4", Fraction(10))
    job = json.loads(post(server, "/v1/video", (tmp_path / "drive.mp4").read_bytes()))["id"]
    deadline = time.monotonic() + 60
    while get(server, f"/v1/jobs/{job}")["state"] != "done":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for line in lines:
        command = line.replace("localhost:7860", f"127.0.0.1:{server.port}").replace("JOB", job)
        done = subprocess.run(
            f"{command} --fail-with-body --silent --show-error",
            shell=True,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    with Image.open(tmp_path / "mask.png") as mask:
        assert mask.mode == "P"
    assert (tmp_path / "segmented.mp4").stat().st_size > 0
