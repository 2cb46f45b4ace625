"""Runtimes: `open_backend` opens any model file on a device."""

from __future__ import annotations

from pathlib import Path

from cfcontra.errors import InputError
from cfcontra.runtime.base import FRAME_SCORES, Backend, Prediction

RUNTIMES = {
    "torch": ".pt",
    "torch-compiled": ".pt",
    "torch-bf16": ".pt",
    "onnxruntime": ".onnx",
    "openvino": ".onnx",
    "openvino-bf16": ".onnx",
}
"""Runtimes and the files they run. The first of each kind of file is its default."""


def open_backend(
    path: Path, device: str = "auto", threads: int | None = None, runtime: str = "auto"
) -> Backend:
    """Open a model file.

    Args:
        path: a `.pt` or an `.onnx`.
        device: `auto`, `cpu` or `cuda[:N]`.
        threads: CPU threads, None for the runtime's default.
        runtime: one of `RUNTIMES`; `auto` runs `.pt` in PyTorch and `.onnx` in onnxruntime.

    Raises:
        InputError: unknown kind of file, an unusable file, a runtime that does not run it, or a
            missing device.
    """
    fitting = [name for name, suffix in RUNTIMES.items() if suffix == path.suffix]
    if not fitting:
        raise InputError(f"{path}: unknown kind of model file. Give a .pt or an .onnx.")
    name = fitting[0] if runtime == "auto" else runtime
    if name not in fitting:
        raise InputError(
            f"--runtime {runtime}: does not run {path.suffix} files. For {path.name}: "
            f"{', '.join(fitting)}."
        )
    kind, _, mode = name.partition("-")
    if kind == "onnxruntime":
        from cfcontra.runtime.onnx_backend import OnnxBackend

        return OnnxBackend(path, device, threads)
    if kind == "openvino":
        from cfcontra.runtime.openvino_backend import OpenVinoBackend

        return OpenVinoBackend(path, device, threads, mode or "fp32")
    from cfcontra.runtime.torch_backend import TorchBackend

    return TorchBackend.open(path, device, threads, mode or "eager")


__all__ = ["FRAME_SCORES", "RUNTIMES", "Backend", "Prediction", "open_backend"]
