"""What a source takes of a Ray cluster, by a stand-in for one."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cfcontra.serve.ray_job import _remote
from cfcontra.serve.video.sources import SourceOptions


class Cluster:
    """One machine of 16 cores and two GPUs."""

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 16.0, "GPU": 2.0}}]

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 16.0, "GPU": 2.0}

    def remote(self, **wants: Any) -> Callable[[Any], dict[str, Any]]:
        return lambda _: wants


@pytest.mark.parametrize(
    ("runtime", "device", "expected"),
    [
        ("auto", "auto", ("cuda", 1)),
        ("auto", "cpu", ("cpu", 0)),
        ("openvino", "auto", ("cpu", 0)),
        ("openvino-bf16", "auto", ("cpu", 0)),
        ("openvino", "cuda", ("cuda", 1)),  # which the runtime refuses, by name
    ],
)
def test_a_source_takes_a_gpu_where_its_runtime_does(
    runtime: str, device: str, expected: tuple[str, int]
) -> None:
    arguments = Namespace(
        model=Path("m.onnx"), threads=None, device=device, runtime=runtime, resume=False
    )
    wants, sent, _ = _remote(Cluster(), arguments, SourceOptions())
    assert (sent.device, wants["num_gpus"]) == expected
