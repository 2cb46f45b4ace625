"""TensorRT engines: torch's CUDA memory, a stream of their own, a CUDA graph per shape of frames.

Written against the published bindings of TensorRT 11.4; not run on a GPU yet.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cfcontra.device import resolve_device
from cfcontra.errors import InputError, MissingDependencyError
from cfcontra.runtime.exported import Arrays, ExportedBackend
from cfcontra.runtime.tensorrt_sidecar import read_sidecar

if TYPE_CHECKING:
    import tensorrt

_LOG = logging.getLogger(__name__)
_KEPT = 8
"""Shapes of frames that memory and graph are kept for, the last used ones."""
HOST_CODE = "CFCONTRA_ENGINE_CODE"
"""Environment variable; `allow` lets engines run the code that they bring along."""
_REBUILD = "Build it again on this machine: cfcontra-export model.pt --format tensorrt."


def import_tensorrt() -> ModuleType:
    """TensorRT's Python bindings.

    Raises:
        MissingDependencyError: not installed, or its libraries do not load.
    """
    try:
        import tensorrt
    except (ImportError, OSError) as error:
        raise MissingDependencyError(
            f"TensorRT cannot be loaded ({error}). It needs an NVIDIA GPU's driver; install the "
            "package: pip install 'cfcontra[tensorrt]'."
        ) from error
    return tensorrt


class TensorRtBackend(ExportedBackend):
    """Runs an engine that `cfcontra-export --format tensorrt` built, with its sidecar beside it.

    Args:
        path: the `.engine`.
        device: `auto` or `cuda[:N]`.
        trusted: whether code that the engine brings along may run: a version-compatible one has
            a small runtime inside. None asks the environment, see `HOST_CODE`.

    Raises:
        InputError: no CUDA device, no engine of cfcontra's, one with code that may not run, or
            one that is stale: built by another TensorRT, or on another GPU.
        MissingDependencyError: TensorRT is not installed.
    """

    def __init__(self, path: Path, device: str = "auto", trusted: bool | None = None) -> None:
        sidecar = read_sidecar(path)
        has_code = sidecar.key.version_compatible
        if trusted is None:
            trusted = os.environ.get(HOST_CODE) == "allow"
        if has_code and not trusted:
            raise InputError(
                f"{path}: brings a TensorRT runtime of its own along, as it was built for several "
                "versions, and that is code which would run here. If you trust whoever built it, "
                f"set {HOST_CODE}=allow in the environment."
            )
        import_tensorrt()
        import tensorrt

        self._device = resolve_device(device)
        if self._device.type != "cuda":
            raise InputError(f"--device {device}: TensorRT runs on CUDA alone. Use --device cuda.")
        stale = sidecar.key.stale_on(tensorrt.__version__, torch.cuda.get_device_name(self._device))
        if stale is not None:
            raise InputError(f"{path}: stale, {stale}. {_REBUILD}")
        super().__init__(sidecar.metadata)
        self._logger = tensorrt.Logger(tensorrt.Logger.ERROR)
        self._runtime = tensorrt.Runtime(self._logger)
        self._runtime.engine_host_code_allowed = has_code
        with torch.cuda.device(self._device):
            engine = self._runtime.deserialize_cuda_engine(path.read_bytes())
            if engine is None:
                raise InputError(f"{path}: TensorRT cannot open it. {_REBUILD}")
            self._engine = engine
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        self._most = sidecar.key.batches[2]
        self._calls: dict[tuple[int, ...], _Call] = {}
        self.device = str(self._device)
        self.runtime = f"tensorrt {tensorrt.__version__}"

    def _infer(self, frames: NDArray[np.generic], names: Sequence[str]) -> Arrays:
        if len(frames) > self._most:
            parts = [
                self._infer(frames[start : start + self._most], names)
                for start in range(0, len(frames), self._most)
            ]
            return [np.concatenate(found) for found in zip(*parts, strict=True)]
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            call = self._calls.pop(frames.shape, None)
            if call is None:
                call = _Call(self._engine, frames, self._stream)
            found = call.run(frames, names)
        self._calls[frames.shape] = call  # behind those that were used before
        if len(self._calls) > _KEPT:
            del self._calls[next(iter(self._calls))]
        return found


class _Call:
    """Memory and context for frames of one shape, and from the second run on a CUDA graph."""

    def __init__(
        self,
        engine: tensorrt.ICudaEngine,
        frames: NDArray[np.generic],
        stream: torch.cuda.Stream,
    ) -> None:
        self._stream = stream
        context = engine.create_execution_context()
        if context is None or not context.set_input_shape("frames", frames.shape):
            raise InputError(f"The engine takes no frames of shape {frames.shape}.")
        self._context = context
        self._frames = torch.empty_like(torch.from_numpy(frames), device=stream.device)
        self._outputs: dict[str, Tensor] = {}
        context.set_tensor_address("frames", self._frames.data_ptr())
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            if name != "frames":
                self._add_output(engine, name)
        self._runs = 0
        self._execute: Callable[[], None] = self._enqueue

    def _add_output(self, engine: tensorrt.ICudaEngine, name: str) -> None:
        import tensorrt

        is_bytes = engine.get_tensor_dtype(name) == tensorrt.DataType.UINT8
        kind = torch.uint8 if is_bytes else torch.float32
        shape = tuple(self._context.get_tensor_shape(name))
        self._outputs[name] = torch.empty(shape, dtype=kind, device=self._stream.device)
        self._context.set_tensor_address(name, self._outputs[name].data_ptr())

    def run(self, frames: NDArray[np.generic], names: Sequence[str]) -> Arrays:
        # Does not block where the frames lie in pinned memory.
        self._frames.copy_(torch.from_numpy(frames), non_blocking=True)
        if self._runs == 1:  # TensorRT settles on a shape in the first, which no graph may hold
            self._capture()
        self._runs += 1
        self._execute()
        found = [
            self._outputs[name].to("cpu", non_blocking=True, copy=True)  # pinned by torch
            for name in names
        ]
        self._stream.synchronize()
        return [values.numpy() for values in found]

    def _capture(self) -> None:
        graph = torch.cuda.CUDAGraph()
        try:
            # Other threads may allocate pinned memory meanwhile, which breaks a global capture.
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                self._enqueue()
        except (RuntimeError, InputError) as error:
            _LOG.debug("no CUDA graph for frames of %s: %s", tuple(self._frames.shape), error)
        else:
            self._execute = graph.replay

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(self._stream.cuda_stream):
            raise InputError("TensorRT could not run the engine; its log above says why.")
