"""onnxruntime on CUDA: frames and masks stay on the device; what mends a provider that fails."""

from __future__ import annotations

import ctypes
import importlib.metadata
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cfcontra.errors import MissingDependencyError

PROVIDER = "CUDAExecutionProvider"
_KEPT = 4
"""Memories kept for calls to come: a server sees any number of shapes."""


class DeviceBinding:
    """Runs a session on memory of a device, which is kept for the last few shapes of frames.

    A call copies frames in and outputs out, and nothing in between. Any thread may call: each
    call has memory and a stream to itself, so that one copies while another computes.

    Args:
        session: of onnxruntime.
        device: where it runs.
    """

    def __init__(self, session: Any, device: torch.device) -> None:
        self._session, self._device = session, device
        self._free: list[_Memory] = []  # the last one was used last
        self._lock = threading.Lock()

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
        memory = self._take(frames.shape)
        if memory is None:
            memory = _Memory(self._session, self._device, frames, shapes)
        found = memory.run(frames, names)
        with self._lock:
            self._free.append(memory)
            del self._free[:-_KEPT]
        return found

    def _take(self, shape: tuple[int, ...]) -> _Memory | None:
        with self._lock:
            for index in reversed(range(len(self._free))):
                if self._free[index].shape == shape:
                    return self._free.pop(index)
        return None


class _Memory:
    def __init__(
        self,
        session: Any,
        device: torch.device,
        frames: NDArray[np.generic],
        shapes: dict[str, tuple[int, ...]],
    ) -> None:
        self.shape = frames.shape
        self._session = session
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._frames = torch.empty_like(torch.from_numpy(frames), device=device)
        self._outputs: dict[str, Tensor] = {}
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
            element = np.uint8 if is_bytes else np.float32
            address = self._outputs[name].data_ptr()
            self._binding.bind_output(name, *where, element, shape, address)

    def run(self, frames: NDArray[np.generic], names: Sequence[str]) -> list[NDArray[np.generic]]:
        with torch.cuda.stream(self._stream):
            # Does not block where the frames lie in pinned memory.
            self._frames.copy_(torch.from_numpy(frames), non_blocking=True)
            self._wait()  # the session has streams of its own
            self._session.run_with_iobinding(self._binding)
            self._binding.synchronize_outputs()
            found = [
                self._outputs[name].to("cpu", non_blocking=True, copy=True)  # pinned by torch
                for name in names
            ]
            self._wait()
        return [values.numpy() for values in found]

    def _wait(self) -> None:
        if self._stream is not None:
            self._stream.synchronize()


def providers_of(device: torch.device) -> list[Any]:
    """Providers to open a session with, so that it runs on the device."""
    import onnxruntime

    found: list[Any] = ["CPUExecutionProvider"]
    if device.type == "cuda":
        onnxruntime.preload_dlls()
        # By default float32 products are rounded to TF32's 10 bits.
        options = {"device_id": device.index or 0, "use_tf32": 0}
        found.insert(0, (PROVIDER, options))
    return found


def require_provider(session: Any, device: torch.device) -> None:
    """Make sure that a session really got CUDA where it was asked for.

    Raises:
        MissingDependencyError: it would run on the CPU.
    """
    if device.type == "cuda" and session.get_providers()[0] != PROVIDER:
        raise MissingDependencyError(
            f"--device {device}: onnxruntime could not start its CUDA provider and would run on "
            f"the CPU: {why_no_cuda()}; or use --device cpu."
        )


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
