"""onnxruntime on CUDA: frames and masks stay on the device; what mends a provider that fails."""

from __future__ import annotations

import ctypes
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PROVIDER = "CUDAExecutionProvider"
_KEPT = 4
"""Shapes of frames whose memory is kept: a server sees any number of them."""


class DeviceBinding:
    """Runs a session on memory of a device, which is kept for the last few shapes of frames.

    A call copies frames in and outputs out, through pinned memory, and nothing in between.

    Args:
        session: of onnxruntime.
        device: where it runs.
    """

    def __init__(self, session: Any, device: torch.device) -> None:
        self._session, self._device = session, device
        self._memory: dict[tuple[int, ...], _Memory] = {}

    def run(
        self,
        frames: NDArray[np.generic],
        shapes: dict[str, tuple[int, ...]],
        names: Sequence[str],
    ) -> list[NDArray[np.generic]]:
        """The outputs of these names, for frames of a type and shape the session takes.

        Args:
            shapes: of all outputs.
        """
        memory = self._memory.pop(frames.shape, None)
        if memory is None:
            memory = _Memory(self._session, self._device, frames, shapes)
        self._memory[frames.shape] = memory  # the last one is the one used last
        if len(self._memory) > _KEPT:
            del self._memory[next(iter(self._memory))]
        return memory.run(self._session, frames, names)


class _Memory:
    def __init__(
        self,
        session: Any,
        device: torch.device,
        frames: NDArray[np.generic],
        shapes: dict[str, tuple[int, ...]],
    ) -> None:
        self._device = device
        pinned = device.type == "cuda"
        kind = torch.from_numpy(np.zeros(1, frames.dtype)).dtype
        self._given = torch.empty(frames.shape, dtype=kind, pin_memory=pinned)
        self._frames = torch.empty(frames.shape, dtype=kind, device=device)
        self._outputs: dict[str, Tensor] = {}
        self._found: dict[str, Tensor] = {}
        self._binding = session.io_binding()
        where = device.type, device.index or 0
        self._binding.bind_input(
            "frames", *where, frames.dtype.type, frames.shape, self._frames.data_ptr()
        )
        kinds = {output.name: output.type for output in session.get_outputs()}
        for name, shape in shapes.items():
            is_bytes = kinds[name] == "tensor(uint8)"
            kind = torch.uint8 if is_bytes else torch.float32
            self._outputs[name] = torch.empty(shape, dtype=kind, device=device)
            self._found[name] = torch.empty(shape, dtype=kind, pin_memory=pinned)
            element = np.uint8 if is_bytes else np.float32
            address = self._outputs[name].data_ptr()
            self._binding.bind_output(name, *where, element, shape, address)

    def run(
        self, session: Any, frames: NDArray[np.generic], names: Sequence[str]
    ) -> list[NDArray[np.generic]]:
        self._given.numpy()[...] = frames
        self._frames.copy_(self._given, non_blocking=True)
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()  # the session has its own stream
        session.run_with_iobinding(self._binding)
        for name in names:
            self._found[name].copy_(self._outputs[name], non_blocking=True)
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).synchronize()
        return [self._found[name].numpy().copy() for name in names]


def why_no_cuda() -> str:
    """What keeps onnxruntime's CUDA provider from loading, and the command that mends it.

    `get_available_providers` says what was compiled in, not what loads; so the provider's library
    is opened by hand, whose error names what it misses.
    """
    import onnxruntime

    if PROVIDER not in onnxruntime.get_available_providers():
        return (
            f"onnxruntime {onnxruntime.__version__} is the CPU's build. Install the GPU's: pip "
            f"uninstall -y {_installed()} && pip install 'onnxruntime-gpu[cuda,cudnn]'"
        )
    built_for = getattr(onnxruntime, "cuda_version", "") or "an unknown version"
    text = (
        f"onnxruntime {onnxruntime.__version__} is built for CUDA {built_for}, torch for "
        f"{torch.version.cuda or 'none'}, and onnxruntime.preload_dlls() found no libraries that do"
    )
    missing = _missing_library(Path(onnxruntime.__file__).parent / "capi")
    if missing:
        text += f" ({missing})"
    return f"{text}. Install them: pip install 'onnxruntime-gpu[cuda,cudnn]'"


def _installed() -> str:
    names = {d.metadata["Name"] for d in importlib.metadata.distributions()}
    return "onnxruntime" if "onnxruntime" in names else "onnxruntime-gpu"


def _missing_library(folder: Path) -> str:
    try:
        ctypes.CDLL(str(folder / "libonnxruntime_providers_cuda.so"))
    except OSError as error:
        said = str(error)
        return said if "cannot open shared object file" in said else ""
    return ""
