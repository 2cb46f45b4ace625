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
    "tensorrt": ".engine",
}
"""Runtimes and the files they run. The first of each kind of file is its default."""


def half_runtime(path: Path, runtime: str = "auto") -> str:
    """The runtime that computes in 16 bits where `runtime` would in 32.

    Args:
        path: the model file.
        runtime: one of `RUNTIMES`, or `auto`.

    Raises:
        InputError: there is none, so that the file itself has to be in half precision.
    """
    name = "torch" if runtime == "auto" and path.suffix == ".pt" else runtime
    if name.endswith("-bf16"):
        return name
    if f"{name}-bf16" in RUNTIMES:
        return f"{name}-bf16"
    if path.suffix == ".engine":
        raise InputError(
            f"--half: an engine computes in its own precision. Build {path.name} again with "
            "--precision fp16."
        )
    if path.suffix == ".onnx":
        raise InputError(
            f"--half: onnxruntime computes in the precision of {path.name}. Export with "
            "--precision fp16, or add --runtime openvino."
        )
    raise InputError(f"--half: {runtime} does not compute in 16 bits. Use --runtime torch.")


def open_backend(
    path: Path,
    device: str = "auto",
    threads: int | None = None,
    runtime: str = "auto",
    work_size: tuple[int, int] | None = None,
    streams: int = 1,
) -> Backend:
    """Open a model file.

    Args:
        path: a `.pt`, an `.onnx` or an `.engine`.
        device: `auto`, `cpu` or `cuda[:N]`.
        threads: CPU threads, None for the runtime's default.
        runtime: one of `RUNTIMES`; `auto` runs `.pt` in PyTorch, `.onnx` in onnxruntime and
            `.engine` in TensorRT.
        work_size: `(height, width)` that the network of a `.pt` sees instead of its own.
        streams: calls that are wanted at the same time, for many frames rather than soon the
            next; `Backend.streams` says how many it has become.

    Raises:
        InputError: unknown kind of file, an unusable file, a runtime that does not run it, a
            missing device, or a working size for a file that has its own built in.
    """
    fitting = [name for name, suffix in RUNTIMES.items() if suffix == path.suffix]
    if not fitting:
        raise InputError(f"{path}: unknown kind of model file. Give a .pt, an .onnx or an .engine.")
    name = fitting[0] if runtime == "auto" else runtime
    if name not in fitting:
        raise InputError(
            f"--runtime {runtime}: does not run {path.suffix} files. For {path.name}: "
            f"{', '.join(fitting)}."
        )
    if work_size is not None and path.suffix != ".pt":
        raise InputError(
            f"--work-size: the one of {path.name} is built in. Export again with cfcontra-export "
            "--work-size, or give the model.pt."
        )
    kind, _, mode = name.partition("-")
    if kind == "onnxruntime":
        from cfcontra.runtime.onnx_backend import OnnxBackend

        return OnnxBackend(path, device, threads, streams)
    if kind == "openvino":
        from cfcontra.runtime.openvino_backend import OpenVinoBackend

        return OpenVinoBackend(path, device, threads, mode or "fp32")
    if kind == "tensorrt":
        from cfcontra.runtime.tensorrt_backend import TensorRtBackend

        return TensorRtBackend(path, device)
    from cfcontra.runtime.torch_backend import TorchBackend

    return TorchBackend.open(path, device, threads, mode or "eager", work_size)


__all__ = ["FRAME_SCORES", "RUNTIMES", "Backend", "Prediction", "half_runtime", "open_backend"]
