"""Exported files in onnxruntime."""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cfcontra.device import available_cores, resolve_device
from cfcontra.errors import InputError
from cfcontra.onnx_content import read_metadata
from cfcontra.runtime.exported import Arrays, ExportedBackend
from cfcontra.runtime.onnx_cuda import DeviceBinding, providers_of, require_provider

NETWORK_PREFIX = "network/"
"""Of the names of the network's own operators in an exported file."""
_ERRORS_ONLY, _CPU_PROVIDER = 3, "CPUExecutionProvider"


class OnnxBackend(ExportedBackend):
    """Runs an exported `.onnx` through onnxruntime, on the CPU or through CUDA.

    Args:
        path: file written by `cfcontra-export`.
        device: `auto`, `cpu` or `cuda[:N]`; a device asked for is used or refused.
        threads: CPU threads, None for one per core.
        streams: calls at the same time on a CPU; a GPU always takes two. They share the
            threads: a frame takes longer and all of them together less, as cores that work on
            frames of their own need not wait for each other.

    Raises:
        InputError: not an ONNX file, not exported by cfcontra, or a device that the
            session does not really get.
    """

    def __init__(
        self, path: Path, device: str = "auto", threads: int | None = None, streams: int = 1
    ) -> None:
        import onnxruntime

        if threads is not None and threads < 1:
            raise InputError(f"--threads {threads}: give 1 or more.")
        wanted = resolve_device(device)
        self._path, self._threads = path, threads
        if wanted.type == "cuda":
            self.streams = 2  # one copies while the other computes
        elif streams > 1:
            cores = threads or available_cores()
            self.streams = min(streams, cores)
            self._threads = cores // self.streams
        self._providers = providers_of(wanted)
        self._session = self._open()
        require_provider(self._session, wanted)
        super().__init__(read_metadata(path))
        self._binding = None if wanted.type == "cpu" else DeviceBinding(self._session, wanted)
        self.device = str(wanted)
        self.runtime = f"onnxruntime {onnxruntime.__version__}"

    def _open(self, profile: Path | None = None) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        if self._threads is not None:
            options.intra_op_num_threads = self._threads
        if profile is not None:
            options.enable_profiling, options.profile_file_prefix = True, str(profile)
        return _open(self._path, options, self._providers)

    def stages(self, frames: NDArray[np.uint8]) -> dict[str, float]:
        """By onnxruntime's own profile of a second call, in a session opened for it.

        Empty on CUDA, where that profile tells how long kernels took to launch.
        """
        if self._binding is not None:
            return {}
        return _stages(*self._profile(frames))

    def left_on_cpu(self, frames: NDArray[np.uint8]) -> list[str]:
        """Names of operators that run on the CPU, and whose results are as large as the frames.

        On a GPU there should be none: each costs a copy there and back in every call.
        """
        return large_on_cpu(self._profile(frames)[0], frames.shape[1] * frames.shape[2])

    def _profile(self, frames: NDArray[np.uint8]) -> tuple[list[dict[str, Any]], int]:
        """Events of two calls, and how many runs of the session a call is."""
        with tempfile.TemporaryDirectory(prefix="cfcontra-") as folder:
            session = self._open(Path(folder) / "profile")
            parts = [*self._parts(frames)]
            for part in (*parts, *parts):
                session.run(self._predicted, {"frames": part})
            events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
        return events, len(parts)

    def _infer(self, frames: NDArray[np.generic], names: Sequence[str]) -> Arrays:
        if self._binding is not None:
            return self._binding.run(frames, self._shapes(frames), names)
        found: Arrays = self._session.run([*names], {"frames": frames})
        return found


def _stages(events: list[dict[str, Any]], runs: int) -> dict[str, float]:
    """Seconds before, in and behind the network in the last runs of a profile."""
    last = [event["ts"] for event in events if event["name"] == "model_run"][-runs]
    found = {"prepare": 0.0, "network": 0.0, "mask": 0.0}
    nodes = [
        event for event in events if event["ts"] >= last and event["name"].endswith("_kernel_time")
    ]
    inner = [i for i, event in enumerate(nodes) if event["name"].startswith(NETWORK_PREFIX)]
    for index, event in enumerate(nodes):
        stage = "prepare" if index < inner[0] else "network" if index <= inner[-1] else "mask"
        found[stage] += event["dur"] / 1e6
    return found


def large_on_cpu(events: list[dict[str, Any]], pixels: int) -> list[str]:
    """Operators of a profile that ran on the CPU and gave so many values or more."""
    found: dict[str, None] = {}
    for event in events:
        about = event.get("args", {})
        if not event["name"].endswith("_kernel_time") or about["provider"] != _CPU_PROVIDER:
            continue
        shapes = [shape for output in about["output_type_shape"] for shape in output.values()]
        if any(math.prod(shape) >= pixels for shape in shapes):
            found[event["name"].removesuffix("_kernel_time")] = None
    return [*found]


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
