"""The memory that one model needs, in a process of its own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

_PATIENCE = 600.0  # seconds


def peak_memory(
    model: Path, runtime: str, device: str, threads: int | None, shape: tuple[int, ...]
) -> float | None:
    """MiB that a process holds at most when it opens a model and runs it twice.

    On a GPU, the GPU's memory that is taken then and was not before, CUDA's own context apart:
    every runtime there keeps what it once took.

    Args:
        shape: of the frames, `[N, H, W, 3]`.

    Returns:
        None where the process fails, or the system does not tell.
    """
    return _of_own_process(_run, model, runtime, device, threads, shape)


def _of_own_process(
    run: Callable[..., float | None], *given: object, patience: float = _PATIENCE
) -> float | None:
    """What a function gives in a fresh process; None if it fails, is killed or hangs."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(sender, run, *given), daemon=True)
    with receiver:
        with sender:  # the process has its own end, with which it closes the pipe when it dies
            process.start()
        try:
            return receiver.recv() if receiver.poll(patience) else None
        except (EOFError, OSError):
            return None
        finally:
            process.kill()
            process.join()


def _tell(sender: Connection, run: Callable[..., float | None], *given: object) -> None:
    try:
        found = run(*given)
    except Exception:  # noqa: BLE001 - the timing stands without it
        found = None
    sender.send(found)


def _run(
    model: Path, runtime: str, device: str, threads: int | None, shape: tuple[int, ...]
) -> float | None:
    from cfcontra.device import resolve_device
    from cfcontra.runtime import open_backend

    # OpenVINO runs without torch, whose memory is not its own.
    where = None if runtime.startswith("openvino") else resolve_device(device)
    before = _free(where)
    backend = open_backend(model, device, threads, runtime)
    frames = np.zeros(shape, np.uint8)
    for _ in range(2):
        backend.predict(frames)
    after = _free(where)
    return _own_peak() if before is None or after is None else (before - after) / 2**20


def _free(device: torch.device | None) -> int | None:
    """Bytes of a GPU's memory that nobody holds; None of anything else."""
    if device is None or device.type != "cuda":
        return None
    import torch

    return torch.cuda.mem_get_info(device)[0]


def _own_peak() -> float | None:
    """Most that this process ever held, MiB; None where the system does not tell.

    Not `getrusage`: on Linux its peak outlives the start of a new program.
    """
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
    except OSError:
        return None
    found = [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")]
    return found[0] if found else None
