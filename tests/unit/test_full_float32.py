"""The reference on CUDA is float32, not TF32."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from cfcontra.runtime import open_backend, torch_backend


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    yield
    torch.backends.cudnn.allow_tf32 = True


@pytest.mark.parametrize(
    ("runtime", "device", "rounded"),
    [
        ("torch", "cuda", False),
        ("torch-compiled", "cuda", False),
        ("torch-bf16", "cuda", True),
        ("torch", "cpu", True),
    ],
)
def test_a_model_that_is_opened_on_cuda_is_not_rounded(
    model_file: Path, monkeypatch: pytest.MonkeyPatch, runtime: str, device: str, rounded: bool
) -> None:
    monkeypatch.setattr(torch_backend, "resolve_device", lambda name: torch.device(name))
    monkeypatch.setattr(torch_backend.TorchBackend, "_compiled", lambda self: None)
    # Without a GPU the weights cannot move there, after the setting was made.
    with contextlib.suppress(RuntimeError, AssertionError):
        open_backend(model_file, device, 1, runtime)
    assert (torch.backends.cudnn.conv.fp32_precision == "tf32") == rounded
    assert torch.backends.cudnn.allow_tf32 == rounded
    assert torch.get_float32_matmul_precision() == "highest"
    # Exporting in the same process reads the setting by its older name.
    torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),), strict=False)
