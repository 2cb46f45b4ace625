"""What a source takes of a Ray cluster, by a stand-in for one."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cfcontra.errors import InputError
from cfcontra.serve import ray_job, segment_command
from cfcontra.serve.ray_job import _outcome, _remote, _segment_one
from cfcontra.serve.segment_model import ModelChoice
from cfcontra.serve.video.find import Found
from cfcontra.serve.video.job import Task
from cfcontra.serve.video.sources import SourceOptions


class Cluster:
    """Machines by their cores and GPUs; one of 16 and two if none are given."""

    def __init__(self, *machines: tuple[int, int]) -> None:
        self._machines = machines or ((16, 2),)

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"Alive": True, "Resources": {"CPU": float(cores), "GPU": float(gpus)}}
            for cores, gpus in self._machines
        ]

    def cluster_resources(self) -> dict[str, float]:
        return {"GPU": float(sum(gpus for _, gpus in self._machines))}

    def get(self, reference: Any) -> Any:
        return reference

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
    wants, sent, _ = _remote(Cluster(), given(device=device, runtime=runtime), SourceOptions())
    assert (sent.device, wants["num_gpus"]) == expected


def given(threads: int | None = None, device: str = "auto", runtime: str = "auto") -> Namespace:
    return Namespace(
        model=Path("m.onnx"), threads=threads, device=device, runtime=runtime, resume=False
    )


@pytest.mark.parametrize(
    ("machines", "threads", "expected"),
    [
        (((0, 0), (16, 0), (8, 0)), None, 4),  # a head that keeps its cores to itself
        (((0, 0), (3, 0), (8, 0)), None, 3),
        (((2, 0), (8, 0)), 8, 8),
        (((2, 0), (8, 1)), None, 4),  # sources go where the GPU is
        (((0, 0),), None, 4),  # workers may come when they are asked for
    ],
)
def test_a_source_takes_cores_that_a_machine_has(
    machines: tuple[tuple[int, int], ...], threads: int | None, expected: int
) -> None:
    wants, sent, options = _remote(Cluster(*machines), given(threads), SourceOptions())
    assert (wants["num_cpus"], sent.threads, options.threads) == (expected,) * 3


@pytest.mark.parametrize(
    ("machines", "where"),
    [(((2, 0), (8, 0)), "Ray cluster"), (((16, 0), (8, 1)), "Ray cluster with a GPU")],
)
def test_more_cores_than_any_machine_has_are_refused(
    machines: tuple[tuple[int, int], ...], where: str
) -> None:
    with pytest.raises(InputError, match=f"--threads 9: the largest .* {where} offers 8 cores"):
        _remote(Cluster(*machines), given(9), SourceOptions())


def test_no_cores_are_refused() -> None:
    with pytest.raises(InputError, match="--threads -1: give 1 or more"):
        _remote(Cluster(), given(-1), SourceOptions())


def test_what_a_worker_says_of_a_source_is_said_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def run_one(_: Any, backend: object) -> str:
        logging.getLogger("cfcontra.serve.video.reader").warning("%s: 3 damaged", path.absolute())
        raise InputError("it failed")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ray_job, "_backend", lambda _: object())
    monkeypatch.setattr(segment_command.SegmentJob, "run_one", run_one)
    path = Path("drive.mp4")
    task = Task(Found(path, path), {})
    arguments = Namespace(output=None, **dict.fromkeys(ModelChoice._fields))
    came = _segment_one(arguments, (), SourceOptions(), task)
    caplog.clear()  # what the worker has in its own log stays there
    assert _outcome(Cluster(), came, task) == ("", "it failed")
    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        ("WARNING", "drive.mp4: 3 damaged")
    ]
