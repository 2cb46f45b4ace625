"""Choosing the device to run on: what is asked for is used, or refused."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from cfcontra.errors import InputError

if TYPE_CHECKING:
    import torch


def resolve_device(name: str) -> torch.device:
    """Turn `auto`, `cpu` or `cuda[:N]` into a device that exists.

    `auto` takes the first CUDA device where there is one, otherwise the CPU.

    Raises:
        InputError: the name is not of that form, or the device does not exist.
    """
    import torch

    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise InputError(f"--device {name}: unknown. Use auto, cpu, cuda or cuda:N.")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        index = device.index or 0
        if index >= count:
            found = f"only {count} found" if count else "no CUDA GPU found"
            raise InputError(f"--device {name}: {found}. Check `nvidia-smi`, or use --device cpu.")
        return torch.device("cuda", index)
    return device


def available_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def use_full_float32() -> None:
    """Have CUDA compute float32 as float32: convolutions, and matrices where that was changed.

    PyTorch rounds what convolutions take to TF32's 10 bits by default, which moves more pixels
    than a certificate of fp32 allows. The setting is the process's, for all that runs after.
    """
    import torch

    # Not by the newer `fp32_precision`, which these set as well: after it `torch.export`, which
    # reads this one, raises (torch 2.14).
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")


def set_threads(threads: int | None) -> None:
    """Limit the CPU threads of torch and OpenCV; None leaves their defaults.

    Raises:
        InputError: not a positive number.
    """
    if threads is None:
        return
    if threads < 1:
        raise InputError(f"--threads {threads}: give 1 or more.")
    import cv2
    import torch

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
