"""What keeps onnxruntime's CUDA provider from loading is named, with what mends it."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest
import torch

from cfcontra.errors import MissingDependencyError
from cfcontra.export.exporter import export_model
from cfcontra.runtime import onnx_backend, open_backend
from cfcontra.runtime.onnx_backend import large_on_cpu
from cfcontra.runtime.onnx_cuda import providers_of, why_no_cuda


def test_the_cpus_build_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    said = why_no_cuda()
    assert "is the CPU's build" in said
    assert "pip install 'onnxruntime-gpu[cuda,cudnn]'" in said


def test_versions_and_command_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    monkeypatch.setattr(onnxruntime, "cuda_version", "13.0", raising=False)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    said = why_no_cuda()
    assert "built for CUDA 13.0, torch for 12.8" in said and "preload_dlls()" in said
    assert "pip install 'onnxruntime-gpu[cuda,cudnn]'" in said


def test_float32_is_not_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    (name, options), _ = providers_of(torch.device("cuda", 1))
    assert name == "CUDAExecutionProvider"
    assert options == {"device_id": 1, "use_tf32": 0}


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_session_that_would_run_on_the_cpu_is_refused(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider is asked of the session itself, whatever is listed as available."""
    path = tmp_path / "model.onnx"
    export_model(model_file, path, certify_specs=["streets:noon,size=64x96"], certify_frames=1)
    monkeypatch.setattr(onnx_backend, "resolve_device", lambda name: torch.device("cuda", 0))
    with pytest.raises(MissingDependencyError, match=r"would run on the CPU: .* --device cpu"):
        open_backend(path, "cuda")


def test_operators_left_on_the_cpu_are_seen_in_a_profile() -> None:
    def event(name: str, provider: str, *shapes: list[int]) -> dict[str, object]:
        outputs = [{"uint8": shape} for shape in shapes]
        about = {"provider": provider, "output_type_shape": outputs}
        return {"name": f"{name}_kernel_time", "args": about}

    cpu, cuda = "CPUExecutionProvider", "CUDAExecutionProvider"
    events = [
        {"name": "model_run", "args": {}},
        event("size", cpu, [4]),
        event("resized", cuda, [1, 3, 90, 160]),
        event("mask", cpu, [1, 90, 160]),
        event("both", cpu, [], [2, 90, 160]),
        event("rows", cpu, [90], [1, 89, 160]),
        event("mask", cpu, [1, 90, 160]),
    ]
    assert large_on_cpu(events, 90 * 160) == ["mask", "both"]
