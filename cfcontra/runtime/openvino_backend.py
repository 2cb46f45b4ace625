"""Exported files in OpenVINO, on the CPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cfcontra.errors import InputError, MissingDependencyError
from cfcontra.onnx_content import read_metadata
from cfcontra.runtime.exported import Arrays, ExportedBackend

_HINTS = {"fp32": "f32", "bf16": "bf16"}
_HEAVY = {"Convolution", "Deconvolution", "FullyConnected", "MatMul"}


def core_for(device: str, precision: str) -> Any:
    """OpenVINO, ready to open files.

    Args:
        device, precision: see `OpenVinoBackend`, whose errors are raised.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingDependencyError(
            "OpenVINO is not installed. Install it: pip install 'cfcontra[openvino]'."
        ) from error
    if device not in ("auto", "cpu"):
        raise InputError(f"--device {device}: OpenVINO runs on the CPU here. Use --device cpu.")
    core = openvino.Core()
    if precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise InputError("This CPU does not compute in bf16. Use --runtime openvino.")
    return core


class OpenVinoBackend(ExportedBackend):
    """Runs an exported `.onnx` through OpenVINO.

    Args:
        path: file written by `cfcontra-export`.
        device: `auto` or `cpu`.
        threads: CPU threads, None for OpenVINO's default.
        precision: `fp32`, which answers as the file does, or `bf16`, which does nearly and is
            faster on CPUs that multiply it.

    Raises:
        InputError: not an ONNX file, not exported by cfcontra, another device, or a precision
            that this CPU does not really compute in.
        MissingDependencyError: OpenVINO is not installed.
    """

    def __init__(
        self,
        path: Path,
        device: str = "auto",
        threads: int | None = None,
        precision: str = "fp32",
    ) -> None:
        core = core_for(device, precision)
        import openvino  # is there, or there would be no core

        if threads is not None and threads < 1:
            raise InputError(f"--threads {threads}: give 1 or more.")
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
        }
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        super().__init__(read_metadata(path))
        try:
            compiled = core.compile_model(path, "CPU", settings)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise InputError(f"{path}: OpenVINO cannot open it ({reason}).") from error
        got = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        if got != _HINTS[precision]:
            raise InputError(
                f"OpenVINO computes in {got} here, where {_HINTS[precision]} was asked for. Use "
                "another --runtime."
            )
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self.device = "cpu"
        version = openvino.__version__.split("-")[0]
        self.runtime = f"openvino {version}" + (" bf16" if precision == "bf16" else "")

    def describe(self) -> dict[str, Any]:
        """Also `computes_in`: the types that its heavy operators take, as OpenVINO built them."""
        kinds = Counter(
            str(about["runtimePrecision"].value)
            for about in (
                node.get_rt_info() for node in self._compiled.get_runtime_model().get_ops()
            )
            if about["layerType"].value in _HEAVY
        )
        told = ", ".join(f"{kind} ({count})" for kind, count in kinds.most_common())
        return {**super().describe(), "computes_in": told}

    def _infer(self, frames: NDArray[np.generic], names: Sequence[str]) -> Arrays:
        found = self._request.infer({"frames": frames}, share_inputs=True)
        return [found[name].copy() for name in names]
