"""TensorRT engines: torch's CUDA memory, a stream of their own, a CUDA graph per batch.

Written against the published bindings of TensorRT 11.4; not run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Sequence
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

    Raises:
        InputError: no CUDA device, no engine of cfcontra's, or one that is stale: built by
            another TensorRT, or on another GPU.
        MissingDependencyError: TensorRT is not installed.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        sidecar = read_sidecar(path)
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
        # An engine for other versions brings its own small runtime along, as code.
        self._runtime.engine_host_code_allowed = sidecar.key.version_compatible
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
            if frames.shape not in self._calls:
                self._calls[frames.shape] = _Call(self._engine, frames, self._stream)
            return self._calls[frames.shape].run(frames, names)


class _Call:
    """Memory, context and CUDA graph for frames of one shape."""

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
        self._frames = torch.from_numpy(frames).to(stream.device)
        self._outputs: dict[str, Tensor] = {}
        context.set_tensor_address("frames", self._frames.data_ptr())
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            if name != "frames":
                self._add_output(engine, name)
        self._run()  # TensorRT settles on a shape in its first call, which no graph may hold
        stream.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, stream=stream):
            self._run()

    def _add_output(self, engine: tensorrt.ICudaEngine, name: str) -> None:
        import tensorrt

        is_bytes = engine.get_tensor_dtype(name) == tensorrt.DataType.UINT8
        kind = torch.uint8 if is_bytes else torch.float32
        shape = tuple(self._context.get_tensor_shape(name))
        self._outputs[name] = torch.empty(shape, dtype=kind, device=self._stream.device)
        self._context.set_tensor_address(name, self._outputs[name].data_ptr())

    def _run(self) -> None:
        if not self._context.execute_async_v3(self._stream.cuda_stream):
            raise InputError("TensorRT could not run the engine; its log above says why.")

    def run(self, frames: NDArray[np.generic], names: Sequence[str]) -> Arrays:
        # Does not block where the frames lie in pinned memory.
        self._frames.copy_(torch.from_numpy(frames), non_blocking=True)
        self._graph.replay()
        found = [
            self._outputs[name].to("cpu", non_blocking=True)  # into memory that torch pins
            for name in names
        ]
        self._stream.synchronize()
        return [values.numpy() for values in found]
