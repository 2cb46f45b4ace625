"""Exported files of every interface, in every runtime that opens them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from cfcontra.checkpoint import load_checkpoint, save_checkpoint
from cfcontra.errors import InputError
from cfcontra.export import exporter
from cfcontra.export.exporter import export_model
from cfcontra.export.onnx_file import export_network
from cfcontra.interface import OUTPUTS, Interface
from cfcontra.runtime import Backend, open_backend
from cfcontra.runtime.averaged import AveragedBackend, Averaging
from cfcontra.runtime.onnx_backend import OnnxBackend
from cfcontra.runtime.onnx_cuda import DeviceBinding

RUNTIMES = ("onnxruntime", "openvino")
SIZE = (81, 107)
INTERFACES = {
    "probabilities": Interface(OUTPUTS),
    "size": Interface(size=SIZE),
    "batch": Interface(batch=3),
    "size and batch": Interface(OUTPUTS, size=SIZE, batch=2),
    "half": Interface(mask_stride=2),
    "a quarter, fixed": Interface(OUTPUTS, size=SIZE, batch=1, mask_stride=4),
    "normalised": Interface(OUTPUTS[:3], embed_normalisation=False),
    "normalised, all fixed": Interface(
        OUTPUTS, size=SIZE, batch=2, mask_stride=2, embed_normalisation=False
    ),
}


@dataclass(frozen=True)
class Made:
    interface: Interface
    file: Path
    checkpoint: Path


@pytest.fixture(scope="module")
def checkpoint(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    loaded = load_checkpoint(model_file)
    torch.manual_seed(0)
    prototypes = torch.nn.functional.normalize(torch.randn(11, 96), dim=1)
    path = tmp_path_factory.mktemp("interfaces") / "model.pt"
    save_checkpoint(path, loaded.model, loaded.metadata, prototypes)
    return path


@pytest.fixture(scope="module")
def networks(checkpoint: Path) -> Iterator[Callable[..., onnx.ModelProto]]:
    """The network's part, built once with features and once without."""
    model = load_checkpoint(checkpoint).model
    made = {features: export_network(model, (64, 96), features) for features in (False, True)}
    yield lambda model, work_size, features=False: made[features]


@pytest.fixture(scope="module", params=INTERFACES)
def made(
    request: pytest.FixtureRequest,
    checkpoint: Path,
    networks: Callable[..., onnx.ModelProto],
    make_folder: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Made:
    interface = INTERFACES[request.param]
    folder = tmp_path_factory.mktemp("file")
    frames = make_folder(folder / "frames", frames=3, size=(60, 110))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporter, "export_network", networks)
        certificate = export_model(
            checkpoint,
            folder / "model.onnx",
            certify_specs=[f"folder:{frames}"],
            threads=1,
            interface=interface,
        )
    assert {row.batch for row in certificate.sizes} == (
        {interface.batch} if interface.batch else {1} if interface.size else {1, 2, 3}
    )
    assert certificate.miou is not None
    given = [row.probabilities_max for row in certificate.sizes]
    assert all((one is not None) == ("probabilities" in interface.outputs) for one in given)
    return Made(interface, folder / "model.onnx", checkpoint)


@pytest.fixture(scope="module", params=RUNTIMES)
def backend(request: pytest.FixtureRequest, made: Made) -> Backend:
    pytest.importorskip(request.param)
    return open_backend(made.file, "cpu", 1, request.param)


def frames(count: int, size: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 6, 9, 3), dtype=np.uint8)
    return np.stack([cv2.resize(one, size[::-1]) for one in coarse]).astype(np.uint8)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_it_is_fed_as_it_asks_and_agrees_with_the_checkpoint(
    backend: Backend, made: Made, count: int
) -> None:
    batch = frames(count, made.interface.size or (90, 75))
    found = backend.predict(batch)
    reference = open_backend(made.checkpoint, "cpu", 1)
    expected = reference.predict(batch)
    assert found.mask.shape == found.confidence.shape == batch.shape[:3]
    if made.interface.mask_stride == 1:
        assert np.mean(found.mask == expected.mask) >= 0.9999
        assert np.abs(found.confidence.astype(int) - expected.confidence).max() <= 1
    else:  # blocks of one class, each the class of the checkpoint's pixel at its middle
        stride, half = made.interface.mask_stride, made.interface.mask_stride // 2
        small = found.mask[:, ::stride, ::stride]
        beside = found.mask[:, ::stride, 1::stride]
        assert np.array_equal(small[:, :, : beside.shape[2]], beside)
        middle = expected.mask[:, half::stride, half::stride]
        rows, columns = middle.shape[1:]
        assert np.mean(small[:, :rows, :columns] == middle) >= 0.93
    if "frame_scores" in made.interface.outputs:
        assert found.frame_scores is not None and expected.frame_scores is not None
        assert np.abs(found.frame_scores - expected.frame_scores).max() <= 1e-4
    else:
        assert found.frame_scores is None


def test_bound_memory_of_a_device_gives_the_same(made: Made) -> None:
    """As on CUDA, where frames and masks stay on the device; here that is the CPU."""
    backend = open_backend(made.file, "cpu", 1, "onnxruntime")
    assert isinstance(backend, OnnxBackend)
    expected = {}
    for seed, count in ((0, 2), (1, 4), (2, 2)):  # memory is used again
        batch = frames(count, made.interface.size or (90, 75), seed)
        expected[seed] = backend.predict(batch)
    backend._binding = DeviceBinding(backend._session, torch.device("cpu"))
    for seed, count in ((0, 2), (1, 4), (2, 2)):
        found = backend.predict(frames(count, made.interface.size or (90, 75), seed))
        assert np.array_equal(found.mask, expected[seed].mask)
        assert np.array_equal(found.confidence, expected[seed].confidence)
    for count in range(1, 8):
        backend.predict(frames(count, made.interface.size or (90, 75)))
    assert len(backend._binding._free) <= 4  # whatever shapes come
    batches = [frames(2, made.interface.size or (90, 75), seed) for seed in range(6)]
    alone = [backend.predict(batch).mask for batch in batches]
    with ThreadPoolExecutor(3) as pool:
        for mask, found in zip(alone, pool.map(backend.predict, batches), strict=True):
            assert np.array_equal(mask, found.mask)


def test_its_stages_are_told_apart(backend: Backend, made: Made) -> None:
    found = backend.stages(frames(1, made.interface.size or (90, 75)))
    assert found == {} or all(seconds > 0 for seconds in found.values())


def test_probabilities(backend: Backend, made: Made) -> None:
    batch = frames(3, made.interface.size or (90, 75))
    if "probabilities" not in made.interface.outputs:
        with pytest.raises(InputError, match="no probabilities"):
            backend.probabilities(batch)
        return
    found = backend.probabilities(batch)
    size = made.interface.mask_size(*batch.shape[1:3])
    assert found.shape == (3, 11, *size) and found.dtype == np.float32
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-4
    if made.interface.mask_stride == 1:
        expected = open_backend(made.checkpoint, "cpu", 1).probabilities(batch)
        assert np.abs(found - expected).max() < 1e-3
    with pytest.raises(InputError, match="one working size"):
        backend.probabilities(batch, 0.5)


def test_other_sizes_are_refused_where_one_is_fixed(backend: Backend, made: Made) -> None:
    batch = frames(1, (50, 70))
    if made.interface.size is None:
        assert backend.predict(batch).mask.shape == (1, 50, 70)
        return
    with pytest.raises(InputError, match="frames of 81x107 alone, not 50x70"):
        backend.predict(batch)


def test_the_file_says_how_it_is_fed(made: Made) -> None:
    file = onnx.load(made.file)
    interface, graph = made.interface, file.graph
    dims = [dim.dim_value or dim.dim_param for dim in graph.input[0].type.tensor_type.shape.dim]
    height, width = interface.size or ("H", "W")
    count = interface.batch or "N"
    planar = [count, 3, height, width]
    assert dims == ([count, height, width, 3] if interface.embed_normalisation else planar)
    said = open_backend(made.file, "cpu", 1).metadata.interface
    assert said == interface
    assert ("float32 [N, 3, H, W]" in said.to_dict()["frames"]) != interface.embed_normalisation
    assert [output.name for output in graph.output] == [*interface.outputs]
    if interface.size is not None and interface.batch is not None:  # all geometry is folded
        outside = {n.op_type for n in graph.node if not n.name.startswith("network/")}
        assert not outside & {"Shape", "Range", "Where", "LessOrEqual", "Identity"}


def test_smaller_masks_and_fixed_sizes_are_not_averaged(backend: Backend, made: Made) -> None:
    averaging = Averaging(flip=True)
    if made.interface.mask_stride != 1:
        with pytest.raises(InputError, match="not averaged"):
            AveragedBackend(backend, averaging)
    elif "probabilities" in made.interface.outputs:
        batch = frames(2, made.interface.size or (90, 75))
        found = AveragedBackend(backend, averaging).predict(batch)
        reference = open_backend(made.checkpoint, "cpu", 1)
        expected = AveragedBackend(reference, averaging).predict(batch)
        assert np.mean(found.mask == expected.mask) >= 0.9999


def test_the_same_bytes_twice(made: Made, networks: Callable[..., onnx.ModelProto]) -> None:
    again = made.file.with_name("again.onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporter, "export_network", networks)
        export_model(
            made.checkpoint,
            again,
            certify_specs=[f"folder:{made.file.parent / 'frames'}"],
            threads=1,
            interface=replace(made.interface),
        )
    assert again.read_bytes() == made.file.read_bytes()
