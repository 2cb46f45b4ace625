"""Exported files in onnxruntime."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cfcontra.device import resolve_device
from cfcontra.errors import InputError, MissingDependencyError
from cfcontra.metadata import ModelMetadata
from cfcontra.runtime.base import Backend, Prediction

_ERRORS_ONLY = 3


class OnnxBackend(Backend):
    """Runs an exported `.onnx` through onnxruntime, on the CPU or through CUDA.

    Args:
        path: file written by `cfcontra-export`.
        device: `auto`, `cpu` or `cuda[:N]`; a device asked for is used or refused.
        threads: CPU threads, None for one per core.

    Raises:
        InputError: not an ONNX file, not exported by cfcontra, or a device that the
            session does not really get.
    """

    def __init__(self, path: Path, device: str = "auto", threads: int | None = None) -> None:
        import onnxruntime

        if threads is not None and threads < 1:
            raise InputError(f"--threads {threads}: give 1 or more.")
        wanted = resolve_device(device)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        if threads is not None:
            options.intra_op_num_threads = threads
        providers: list[Any] = ["CPUExecutionProvider"]
        if wanted.type == "cuda":
            onnxruntime.preload_dlls()
            providers.insert(0, ("CUDAExecutionProvider", {"device_id": wanted.index or 0}))
        self._session = _open(path, options, providers)
        got = self._session.get_providers()
        if wanted.type == "cuda" and got[0] != "CUDAExecutionProvider":
            raise MissingDependencyError(
                f"--device {device}: onnxruntime {onnxruntime.__version__} could not start its "
                "CUDA provider and would run on the CPU. Install the GPU build with its CUDA "
                "libraries (pip install 'cfcontra[gpu]'), or use --device cpu."
            )
        stored = self._session.get_modelmeta().custom_metadata_map
        self.metadata = ModelMetadata.from_properties(stored, str(path))
        self.device = str(wanted)
        self.runtime = f"onnxruntime {onnxruntime.__version__}"

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        mask, confidence = self._session.run(["mask", "confidence"], {"frames": frames})
        return Prediction(mask, confidence)


def _open(path: Path, options: Any, providers: list[Any]) -> Any:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    refusals = (
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NotImplemented,
        state.RuntimeException,
    )
    if not path.is_file():
        raise InputError(f"{path}: no such file. Give an .onnx that cfcontra-export wrote.")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except refusals as error:
        # The reason comes last, after codes, paths and the signature that noticed.
        reason = re.split(r" failed:|&\) ", str(error).strip().splitlines()[0])[-1].rstrip(".")
        raise InputError(f"{path}: onnxruntime cannot open it ({reason}).") from error
