"""`cfcontra-export --format triton`, against Triton's own schema."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from cfcontra.errors import CheckFailedError, InputError
from cfcontra.export import auto, exporter
from cfcontra.export.certificate import Thresholds
from cfcontra.export.cli import main
from cfcontra.export.triton import configuration, default_name
from cfcontra.interface import Interface
from cfcontra.label_space import LABEL_SPACES
from cfcontra.metadata import ModelMetadata
from cfcontra.preprocessing import Preprocessing
from cfcontra.runtime import open_backend

Export = Callable[..., int]


@pytest.fixture
def export(model_file: Path, network_once: None, tmp_path: Path) -> Export:
    def run(*more: str) -> int:
        given = ("--certify", "streets:noon,size=64x96", "--certify-frames", "1", "--threads", "1")
        output = ("--format", "triton", "--output", str(tmp_path / "models"))
        return main([str(model_file), *output, *given, *more])

    return run


def parsed(text: str) -> Any:
    """The configuration by the message type that Triton publishes."""
    package = importlib.util.find_spec("tritonclient")
    if package is None or package.submodule_search_locations is None:
        assert "CI" not in os.environ, "the check needs tritonclient, which the dev extra brings"
        pytest.skip("tritonclient is not installed")
    # By its path: the package around it needs gRPC, which nothing here does.
    path = Path(package.submodule_search_locations[0]) / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("model_config_pb2", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from google.protobuf import text_format

    return text_format.Parse(text, module.ModelConfig())


def test_the_repository(export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export("--name", "dusk", "--max-batch", "4") == 0
    assert f"tritonserver --model-repository {tmp_path / 'models'}" in capsys.readouterr().out
    place = tmp_path / "models" / "dusk"
    assert sorted(str(path.relative_to(place)) for path in place.rglob("*")) == [
        "1",
        "1/model.onnx",
        "1/model.onnx.certificate.json",
        "config.pbtxt",
    ]
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["dusk"]
    config = parsed((place / "config.pbtxt").read_text())
    assert (config.name, config.backend, config.max_batch_size) == ("dusk", "onnxruntime", 4)

    file = onnx.load(place / "1" / "model.onnx")
    for said, meant in ((config.input, file.graph.input), (config.output, file.graph.output)):
        assert [tensor.name for tensor in said] == [tensor.name for tensor in meant]
        for one, other in zip(said, meant, strict=True):
            dims = other.type.tensor_type.shape.dim
            assert [*one.dims] == [dim.dim_value or -1 for dim in dims[1:]]  # the batch apart
            assert one.data_type == 2 and other.type.tensor_type.elem_type == 2  # both UINT8
    (warm_up,) = config.model_warmup
    shape = (warm_up.batch_size, *warm_up.inputs["frames"].dims)
    backend = open_backend(place / "1" / "model.onnx", "cpu", 1)
    assert backend.predict(np.zeros(shape, np.uint8)).mask.shape == shape[:3]


def test_the_fastest_is_looked_for_in_what_triton_runs(
    export: Export, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried: list[object] = []

    def fastest(*given: object, runtimes: object, **more: object) -> None:
        tried.append(runtimes)
        raise InputError("enough")

    monkeypatch.setattr(auto, "export_fastest", fastest)
    assert export("--name", "dusk", "--precision", "auto") == 2
    assert tried == [["onnxruntime"]]
    for precision in ("auto", "fp32"):
        assert export("--precision", precision, "--runtime", "openvino") == 2
        assert "Triton runs the file in onnxruntime" in capsys.readouterr().err
    assert tried == [["onnxruntime"]]


def _file(**interface: Any) -> ModelMetadata:
    return ModelMetadata(
        LABEL_SPACES["camvid11"], Preprocessing((64, 96)), {}, interface=Interface(**interface)
    )


@pytest.mark.parametrize(("device", "kind"), [("cpu", "KIND_CPU"), ("cuda:0", "KIND_GPU")])
def test_instances_run_where_they_were_asked_to(device: str, kind: str) -> None:
    config = parsed(configuration("night", device, 8, _file()))
    (group,) = config.instance_group
    assert type(group).Kind.Name(group.kind) == kind and group.count == 1
    assert config.dynamic_batching.max_queue_delay_microseconds == 2000


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_auto_is_the_device_that_there_is(export: Export, tmp_path: Path) -> None:
    assert export("--name", "dusk", "--device", "auto") == 0
    config = parsed((tmp_path / "models" / "dusk" / "config.pbtxt").read_text())
    (group,) = config.instance_group
    assert type(group).Kind.Name(group.kind) == "KIND_CPU"


def test_the_configuration_tells_the_ends_that_were_asked_for() -> None:
    file = _file(
        outputs=("mask", "confidence", "frame_scores", "probabilities"),
        size=(90, 161),
        batch=4,
        mask_stride=2,
        embed_normalisation=False,
    )
    config = parsed(configuration("night", "cuda", None, file, engine=True))
    assert (config.max_batch_size, config.backend) == (0, "tensorrt")
    assert not config.HasField("dynamic_batching")
    told = {end.name: (end.data_type, [*end.dims]) for end in (*config.input, *config.output)}
    uint8, float32 = 2, 11  # of Triton's DataType
    assert told == {
        "frames": (float32, [4, 3, 90, 161]),
        "mask": (uint8, [4, 45, 81]),
        "confidence": (uint8, [4, 45, 81]),
        "frame_scores": (float32, [4, 3]),
        "probabilities": (float32, [4, 11, 45, 81]),
    }
    (warm_up,) = config.model_warmup
    assert [*warm_up.inputs["frames"].dims] == [4, 3, 90, 161]
    planar = parsed(configuration("night", "cpu", 2, _file(embed_normalisation=False)))
    assert [*planar.model_warmup[0].inputs["frames"].dims] == [3, 540, 960]


def test_names_come_from_the_run() -> None:
    assert default_name(Path("/runs/dusk 2/model.pt")) == "dusk-2"
    assert default_name(Path("/runs/night.pt")) == "night"


def test_what_is_there_is_replaced_whole_or_kept(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert export("--name", "dusk") == 0
    place = tmp_path / "models" / "dusk"
    (place / "mine.txt").write_text("kept until replaced")
    assert export("--name", "dusk") == 2

    def fail(*arguments: object) -> None:
        raise CheckFailedError("departs")

    with monkeypatch.context() as patch:
        patch.setattr(exporter, "require_passed", fail)
        assert export("--name", "dusk", "--overwrite") == 3
    assert (place / "mine.txt").exists() and (place / "1" / "model.onnx").exists()
    assert export("--name", "dusk", "--overwrite") == 0
    assert not (place / "mine.txt").exists()
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["dusk"]


def test_a_failure_leaves_its_picture_alone(
    export: Export,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(exporter, "THRESHOLDS", {"fp32": Thresholds(agreement=2.0)})
    assert export("--name", "dusk") == 3
    picture = tmp_path / "models" / "dusk.worst.png"
    assert f"{picture} shows where" in " ".join(capsys.readouterr().err.split())
    assert [*(tmp_path / "models").iterdir()] == [picture]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--name", "../up"), "use letters"),
        (("--name", ""), "use letters"),
        (("--max-batch", "0"), "give 1 or more"),
        (("--batch", "2", "--max-batch", "2"), "takes no other"),
        (("--format", "onnx", "--name", "x"), "--name is for --format triton alone"),
        (("--format", "onnx", "--max-batch", "2"), "for --format triton and tensorrt alone"),
    ],
)
def test_bad_arguments(
    export: Export,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    says: str,
) -> None:
    assert export(*arguments) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "models").exists()
