"""The clients of `server.py`, in a process of their own: what they saw, as JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Load:
    """What some clients saw in some seconds.

    Attributes:
        seconds: of wall time.
        latencies: of answered requests, in seconds.
        refused: answers with 429.
        failed: any other answer but 200.
        client_cpu: seconds of CPU time of the clients.
        server_cpu: of the server.
        machine_cpu: of all programs.
    """

    seconds: float
    latencies: list[float]
    refused: int
    failed: int
    client_cpu: float
    server_cpu: float
    machine_cpu: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("picture", type=Path)
    parser.add_argument("output", help="what to ask for")
    parser.add_argument("port", type=int)
    parser.add_argument("server", type=int, help="number of its process")
    parser.add_argument("clients", type=int)
    parser.add_argument("seconds", type=float)
    arguments = parser.parse_args()
    request = request_of(arguments.picture.read_bytes(), arguments.output)
    load = asyncio.run(
        drive(arguments.port, arguments.server, request, arguments.clients, arguments.seconds)
    )
    json.dump(asdict(load), sys.stdout)


def request_of(picture: bytes, output: str) -> bytes:
    head = (
        f"POST /v1/segment?output={output} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
    )
    return head.encode() + picture


async def drive(port: int, server: int, request: bytes, clients: int, seconds: float) -> Load:
    """Let clients send one request after the other, each on a connection of its own."""
    latencies: list[float] = []
    statuses: dict[int, int] = {}
    started = time.perf_counter()
    cpu = cpu_times(server)

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() - started < seconds:
            sent = time.perf_counter()
            writer.write(request)
            status = await read_answer(reader)
            statuses[status] = statuses.get(status, 0) + 1
            if status == 200:
                latencies.append(time.perf_counter() - sent)
            elif status == 429:
                await asyncio.sleep(0.1)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    wall = time.perf_counter() - started
    refused = statuses.get(429, 0)
    failed = sum(statuses.values()) - refused - len(latencies)
    spent = [now - then for now, then in zip(cpu_times(server), cpu, strict=True)]
    return Load(wall, latencies, refused, failed, *spent)


async def read_answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    assert found is not None, head
    await reader.readexactly(int(found[1]))
    return int(head.split(b" ", 2)[1])


def cpu_times(server: int) -> tuple[float, float, float]:
    """Seconds of CPU time so far: of this process, the server, and the whole machine."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, cpu_of(server), busy_machine()


def cpu_of(pid: int) -> float:
    """Seconds of CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def busy_machine() -> float:
    """Seconds of CPU time of all processes so far."""
    user, nice, system, _, _, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + softirq) / _TICK


if __name__ == "__main__":
    main()
