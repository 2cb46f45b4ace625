"""The fused graph against the reference backend: `letterbox` and `mask_from_logits` in PyTorch."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cfcontra.checkpoint import Checkpoint, load_checkpoint
from cfcontra.export.agreement import Runner
from cfcontra.export.graph import NETWORK_OUTPUT
from cfcontra.export.onnx_file import build_file, describe, export_network
from cfcontra.label_space import LABEL_SPACES
from cfcontra.metadata import METADATA_KEY, ModelMetadata
from cfcontra.models import SegmentationModel, build_model
from cfcontra.onnx_content import graph_sha256, serialise
from cfcontra.preprocessing import Preprocessing
from cfcontra.runtime.torch_backend import TorchBackend

Run = Callable[[NDArray[np.uint8]], list[NDArray[np.uint8]]]


def frames(count: int, height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 5, 7, 3), dtype=np.uint8)
    scaled = [cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in coarse]
    return np.stack(scaled).reshape(count, height, width, 3)


def session(file: onnx.ModelProto) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    opened = onnxruntime.InferenceSession(
        serialise(file), options, providers=["CPUExecutionProvider"]
    )
    return lambda batch: opened.run(["mask", "confidence"], {"frames": batch})


def built(model: SegmentationModel, metadata: ModelMetadata) -> onnx.ModelProto:
    return build_file(export_network(model, metadata.preprocessing.work_size), metadata)


@pytest.fixture(scope="module")
def checkpoint(model_file: Path) -> Checkpoint:
    return load_checkpoint(model_file)


@pytest.fixture(scope="module")
def file(checkpoint: Checkpoint) -> onnx.ModelProto:
    return built(checkpoint.model, checkpoint.metadata)


@pytest.fixture(scope="module")
def run(file: onnx.ModelProto) -> Run:
    return session(file)


def assert_agrees(run: Run, reference: TorchBackend, batch: NDArray[np.uint8]) -> None:
    mask, confidence = run(batch)
    expected = reference.predict(batch)
    assert mask.dtype == confidence.dtype == np.uint8
    assert mask.shape == confidence.shape == batch.shape[:3]
    assert np.mean(mask == expected.mask) >= 0.9999
    assert np.abs(confidence.astype(int) - expected.confidence).max() <= 1


SIZES = [
    *[(1, 64, 96), (2, 64, 96), (1, 128, 192), (1, 32, 48)],  # the working size's aspect
    *[(3, 65, 97), (1, 63, 95), (2, 101, 77), (1, 97, 211), (1, 37, 41)],
    *[(1, 1, 1), (2, 1, 1), (1, 1, 300), (1, 300, 1), (1, 2, 3), (1, 3, 2)],
    *[(1, 5, 640), (1, 640, 5), (1, 540, 960), (1, 361, 203)],
]


@pytest.mark.parametrize(("count", "height", "width"), SIZES)
def test_any_frame_size_agrees_with_the_reference(
    run: Run, checkpoint: Checkpoint, count: int, height: int, width: int
) -> None:
    assert_agrees(run, TorchBackend(checkpoint, "cpu"), frames(count, height, width))


def test_the_frames_of_this_test_hold_several_classes(run: Run) -> None:
    assert len(np.unique(run(frames(3, 65, 97))[0])) > 3


@pytest.mark.parametrize("work_size", [(32, 32), (75, 50), (33, 131)])
def test_odd_working_sizes_and_normalisation(work_size: tuple[int, int]) -> None:
    torch.manual_seed(1)
    model = build_model("light", 19).eval()
    torch.nn.init.normal_(model.head.weight, std=1.0)  # type: ignore[arg-type]
    preprocessing = Preprocessing(work_size, (0.1, 0.5, 0.7), (0.3, 0.2, 0.5))
    metadata = ModelMetadata(LABEL_SPACES["cityscapes19"], preprocessing, model.config())
    run = session(built(model, metadata))
    reference = TorchBackend(Checkpoint(model, metadata), "cpu")
    for height, width in ((64, 96), (97, 41)):
        assert_agrees(run, reference, frames(2, height, width))


@pytest.mark.slow
def test_deeplab_agrees() -> None:
    torch.manual_seed(0)
    model = build_model("deeplabv2-resnet101", 19).eval()
    metadata = ModelMetadata(LABEL_SPACES["cityscapes19"], Preprocessing((65, 129)), model.config())
    run = session(built(model, metadata))
    assert_agrees(run, TorchBackend(Checkpoint(model, metadata), "cpu"), frames(2, 90, 161))


def test_interface(file: onnx.ModelProto) -> None:
    def described(values: list[onnx.ValueInfoProto]) -> list[tuple[str, int, list[str | int]]]:
        return [
            (
                value.name,
                value.type.tensor_type.elem_type,
                [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim],
            )
            for value in values
        ]

    uint8 = onnx.TensorProto.UINT8
    assert described(list(file.graph.input)) == [("frames", uint8, ["N", "H", "W", 3])]
    assert described(list(file.graph.output)) == [
        ("mask", uint8, ["N", "H", "W"]),
        ("confidence", uint8, ["N", "H", "W"]),
    ]
    assert [(entry.domain, entry.version) for entry in file.opset_import] == [("", 18)]


def test_nothing_tells_where_it_was_built(file: onnx.ModelProto) -> None:
    bare = onnx.ModelProto()
    bare.CopyFrom(file)
    for tensor in bare.graph.initializer:
        tensor.ClearField("raw_data")  # random bytes may spell anything
    content = serialise(bare)
    for trace in (rb"site-packages", rb"\.py\b", rb"stack_trace", rb"torch", rb"/home", rb"/tmp"):
        assert not re.search(trace, content)
    assert str(Path.cwd()).encode() not in content
    assert not any(node.doc_string or node.metadata_props for node in bare.graph.node)
    assert bare.producer_name == "cfcontra"


def test_the_graph_hash_leaves_metadata_out(file: onnx.ModelProto, checkpoint: Checkpoint) -> None:
    described = onnx.ModelProto()
    described.CopyFrom(file)
    describe(described, checkpoint.metadata)
    assert [entry.key for entry in described.metadata_props] == [METADATA_KEY]
    assert serialise(described) != serialise(file)
    assert graph_sha256(described) == graph_sha256(file)
    described.graph.node[0].name = "another"
    assert graph_sha256(described) != graph_sha256(file)


def test_building_twice_gives_the_same_bytes(file: onnx.ModelProto, checkpoint: Checkpoint) -> None:
    assert serialise(built(checkpoint.model, checkpoint.metadata)) == serialise(file)


FIXED: dict[str, Callable[[Tensor], Tensor]] = {
    "adaptive pooling": lambda y: functional.adaptive_avg_pool2d(y, (3, 5)),
    "area": lambda y: functional.interpolate(y, size=(7, 11), mode="area"),
    "nearest": lambda y: functional.interpolate(y, size=(13, 17), mode="nearest"),
    "nearest-exact": lambda y: functional.interpolate(y, size=(13, 17), mode="nearest-exact"),
    "bicubic": lambda y: functional.interpolate(y, size=(13, 17), mode="bicubic"),
}


@pytest.mark.parametrize("name", FIXED)
def test_operators_of_a_fixed_size_are_right_at_an_odd_working_size(name: str) -> None:
    """These go silently wrong in files whose network takes any size; here it takes one."""

    class Resized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 5, 3, padding=1)

        def forward(self, images: Tensor) -> Tensor:
            values = self.first(images)
            size = values.shape[-2:]
            return values + functional.interpolate(FIXED[name](values), size=size, mode="bilinear")

    torch.manual_seed(0)
    model = Resized().eval()
    images = torch.randn(1, 3, 25, 38)
    found = Runner(export_network(model, (25, 38)), 1).values(images.numpy())  # type: ignore[arg-type]
    assert np.abs(found[NETWORK_OUTPUT] - model(images).detach().numpy()).max() < 1e-4
