"""Runtimes: `open_backend` opens any model file on a device."""

from __future__ import annotations

from pathlib import Path

from cfcontra.errors import InputError
from cfcontra.runtime.base import Backend, Prediction


def open_backend(path: Path, device: str = "auto", threads: int | None = None) -> Backend:
    """Open a model file: `.pt` in PyTorch, `.onnx` in onnxruntime.

    Args:
        path: the file.
        device: `auto`, `cpu` or `cuda[:N]`.
        threads: CPU threads, None for the runtime's default.

    Raises:
        InputError: unknown kind of file, an unusable file, or a missing device.
    """
    if path.suffix == ".onnx":
        from cfcontra.runtime.onnx_backend import OnnxBackend

        return OnnxBackend(path, device, threads)
    if path.suffix == ".pt":
        from cfcontra.runtime.torch_backend import TorchBackend

        return TorchBackend.open(path, device, threads)
    raise InputError(f"{path}: unknown kind of model file. Give a .pt or an .onnx.")


__all__ = ["Backend", "Prediction", "open_backend"]
