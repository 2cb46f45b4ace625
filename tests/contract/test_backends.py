"""One suite that every runtime backend passes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from cfcontra.checkpoint import file_sha256, load_checkpoint, save_checkpoint
from cfcontra.errors import InputError
from cfcontra.export.exporter import export_model
from cfcontra.interface import OUTPUTS, Interface
from cfcontra.label_space import LABEL_SPACES
from cfcontra.metadata import ModelMetadata
from cfcontra.models import build_model
from cfcontra.preprocessing import Preprocessing
from cfcontra.runtime import Backend, open_backend
from cfcontra.runtime.torch_backend import compile_mode, letterbox

SUFFIXES = {"torch": ".pt", "onnxruntime": ".onnx", "openvino": ".onnx"}
SPACES = ("cityscapes19", "camvid11")
SIZES = [(64, 96), (101, 77), (37, 255), (1, 1), (1, 50), (50, 1), (240, 135), (135, 240)]


@pytest.fixture(scope="module")
def folders(
    tmp_path_factory: pytest.TempPathFactory, make_folder: Callable[..., Path]
) -> dict[str, Path]:
    """Folders with `model.pt` and its export, in label spaces of 19 and of 11 classes."""
    made = {}
    for name in SPACES:
        folder = made[name] = tmp_path_factory.mktemp(name)
        torch.manual_seed(0)
        space = LABEL_SPACES[name]
        model = build_model("light", space.num_classes)
        torch.nn.init.normal_(model.head.weight, std=1.0)  # type: ignore[arg-type]
        metadata = ModelMetadata(space, Preprocessing((64, 96)), model.config(), {"steps": 7})
        prototypes = torch.nn.functional.normalize(torch.randn(len(space.classes), 96), dim=1)
        prototypes[2] = 0  # a class that the training never saw
        save_checkpoint(folder / "model.pt", model, metadata, prototypes)
        frames = make_folder(folder / "frames", frames=2, space=name)
        export_model(
            folder / "model.pt",
            certify_specs=[f"folder:{frames}"],
            threads=1,
            interface=Interface(OUTPUTS[:3]),
        )
    return made


@pytest.fixture(scope="module", params=SPACES)
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


@pytest.fixture(scope="module", params=SUFFIXES)
def backend(request: pytest.FixtureRequest, folder: Path) -> Backend:
    if request.param == "openvino":
        pytest.importorskip("openvino")
    return open_backend(folder / f"model{SUFFIXES[request.param]}", "cpu", 1, request.param)


@pytest.fixture(scope="module")
def reference(folder: Path) -> Backend:
    return open_backend(folder / "model.pt", "cpu", 1)


def frames(count: int, height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 6, 9, 3), dtype=np.uint8)
    scaled = [cv2.resize(one, (width, height), interpolation=cv2.INTER_CUBIC) for one in coarse]
    return np.stack(scaled).reshape(count, height, width, 3)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_masks_have_the_frames_size_and_agree_with_torch(
    backend: Backend, reference: Backend, height: int, width: int
) -> None:
    batch = frames(2, height, width)
    found, expected = backend.predict(batch), reference.predict(batch)
    for picture in (found.mask, found.confidence):
        assert picture.shape == batch.shape[:3]
        assert picture.dtype == np.uint8
    assert found.mask.max() < backend.metadata.label_space.num_classes
    assert np.mean(found.mask == expected.mask) >= 0.9999
    assert np.abs(found.confidence.astype(int) - expected.confidence).max() <= 1


def test_streams_answer_as_one_does(folder: Path) -> None:
    """Several threads in one backend; oracle: one call after the other in a backend of one."""
    one = open_backend(folder / "model.onnx", "cpu", 2, "onnxruntime")
    several = open_backend(folder / "model.onnx", "cpu", 2, "onnxruntime", streams=8)
    assert (one.streams, several.streams) == (1, 2)
    batches = [frames(1, 40, 60, seed) for seed in range(12)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(several.predict, batches))
    for batch, prediction in zip(batches, found, strict=True):
        expected = one.predict(batch)
        assert np.array_equal(prediction.mask, expected.mask)
        assert np.abs(prediction.confidence.astype(int) - expected.confidence).max() <= 1


def _scores_in_numpy(folder: Path, frame: NDArray[np.uint8]) -> list[float]:
    """Float64, over the logits' pixels whose centres lie in the frame, found by looking."""
    checkpoint = load_checkpoint(folder / "model.pt")
    preprocessing = checkpoint.metadata.preprocessing
    with torch.inference_mode():
        output = checkpoint.model.forward_features(
            letterbox(torch.from_numpy(frame[None]), preprocessing)
        )
    logits, features = (part[0].double().numpy() for part in (output.logits, output.features))
    scaled = preprocessing.scaled_size(*frame.shape[:2])
    inside = [
        [i for i in range(count) if i == 0 or (i + 0.5) * whole / count < length]
        for count, whole, length in zip(
            logits.shape[1:], preprocessing.work_size, scaled, strict=True
        )
    ]
    confidence, entropy, distance = [], [], []
    assert checkpoint.prototypes is not None
    prototypes = checkpoint.prototypes.double().numpy()
    for i in inside[0]:
        for j in inside[1]:
            weights = np.exp(logits[:, i, j] - logits[:, i, j].max())
            p = weights / weights.sum()
            confidence.append(p.max())
            entropy.append(-sum(x * np.log(x) for x in p if x > 0) / np.log(len(p)))
            pixel = features[:, i, j]
            cosines = [
                row @ pixel / (np.linalg.norm(row) * np.linalg.norm(pixel))
                for row in prototypes
                if row.any()
            ]
            distance.append(1 - max(cosines))
    return [float(np.mean(column)) for column in (confidence, entropy, distance)]


@pytest.mark.parametrize(("height", "width"), [(64, 96), (101, 77), (37, 255), (1, 50), (240, 135)])
def test_frame_scores_against_numpy(
    backend: Backend, folder: Path, height: int, width: int
) -> None:
    batch = frames(2, height, width)
    assert backend.gives_frame_scores
    scores = backend.predict(batch).frame_scores
    assert scores is not None and scores.shape == (2, 3) and scores.dtype == np.float32
    expected = [_scores_in_numpy(folder, frame) for frame in batch]
    assert np.abs(scores - expected).max() <= 1e-4


@pytest.mark.parametrize("runtime", SUFFIXES)
def test_files_without_prototypes_give_no_frame_scores(
    model_file: Path, tmp_path: Path, runtime: str
) -> None:
    pytest.importorskip("openvino") if runtime == "openvino" else None
    path = model_file
    if SUFFIXES[runtime] == ".onnx":
        path = tmp_path / "model.onnx"
        export_model(model_file, path, certify_specs=["streets:noon,size=64x96"], certify_frames=1)
    backend = open_backend(path, "cpu", 1, runtime)
    assert not backend.gives_frame_scores
    assert backend.predict(frames(1, 40, 60)).frame_scores is None


def test_a_batch_is_its_frames_one_by_one(backend: Backend) -> None:
    batch = frames(5, 90, 120)
    together = backend.predict(batch)
    for index, frame in enumerate(batch):
        alone = backend.predict(frame[None])
        assert np.mean(alone.mask[0] == together.mask[index]) >= 0.9999
        difference = alone.confidence[0].astype(int) - together.confidence[index]
        assert np.abs(difference).max() <= 1


def test_the_same_frame_twice_gives_the_same(backend: Backend) -> None:
    batch = frames(1, 70, 110)
    first, second = backend.predict(batch), backend.predict(batch)
    assert np.array_equal(first.mask, second.mask)
    assert np.array_equal(first.confidence, second.confidence)


def test_frames_may_be_views(backend: Backend) -> None:
    batch = frames(2, 70, 110)
    view, copy = batch[:, ::-1, ::2], np.ascontiguousarray(batch[:, ::-1, ::2])
    assert np.array_equal(backend.predict(view).mask, backend.predict(copy).mask)


def test_frames_are_not_changed(backend: Backend) -> None:
    batch = frames(1, 70, 110)
    before = batch.copy()
    backend.predict(batch)
    assert np.array_equal(batch, before)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((1, 8, 8, 3), np.float32),
        np.zeros((1, 8, 8, 4), np.uint8),
        np.zeros((1, 3, 8, 8), np.uint8),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((0, 8, 8, 3), np.uint8),
        np.zeros((1, 0, 8, 3), np.uint8),
    ],
    ids=["float", "four channels", "planar", "no batch", "no frames", "no rows"],
)
def test_other_shapes_and_types_are_refused(backend: Backend, wrong: NDArray[np.uint8]) -> None:
    with pytest.raises(InputError, match="Frames"):
        backend.predict(wrong)


def test_metadata_is_the_checkpoints(backend: Backend, reference: Backend, folder: Path) -> None:
    found, expected = backend.metadata, reference.metadata
    assert found.label_space == expected.label_space
    assert found.preprocessing == expected.preprocessing
    assert found.model == expected.model
    assert found.training == expected.training
    assert found.checkpoint_sha256 == file_sha256(folder / "model.pt")


def test_describe_names_runtime_and_device(backend: Backend) -> None:
    described = backend.describe()
    assert described["device"] == "cpu"
    assert described["runtime"].split()[0] in SUFFIXES
    if described["runtime"].startswith("openvino"):
        wanted = "bf16" if described["runtime"].endswith("bf16") else "f32"
        assert re.fullmatch(rf"{wanted} \([1-9]\d*\)", described["computes_in"])


@pytest.mark.parametrize(
    ("device", "version", "mode"),
    [
        ("cpu", "2.14.1", "default"),
        ("cuda", "2.14.0+cu130", "reduce-overhead"),
        ("cuda", "2.13.1+cu130", "default"),
        ("cuda", "2.9.0", "default"),
    ],
)
def test_cuda_graphs_only_where_any_thread_may_run_them(
    monkeypatch: pytest.MonkeyPatch, device: str, version: str, mode: str
) -> None:
    monkeypatch.setattr(torch, "__version__", torch.torch_version.TorchVersion(version))
    assert compile_mode(torch.device(device)) == mode


@pytest.mark.parametrize(
    ("runtime", "suffix"),
    [
        ("torch-bf16", ".pt"),
        pytest.param("torch-compiled", ".pt", marks=pytest.mark.slow),
        ("openvino-bf16", ".onnx"),
    ],
)
def test_faster_runtimes_answer_nearly_the_same(
    folder: Path, reference: Backend, runtime: str, suffix: str
) -> None:
    if runtime == "openvino-bf16":
        openvino = pytest.importorskip("openvino")
        if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            pytest.skip("this CPU does not compute in bf16")
    if runtime == "torch-compiled" and shutil.which("g++") is None:
        pytest.skip("no compiler")
    found = open_backend(folder / f"model{suffix}", "cpu", 1, runtime)
    batch = frames(2, 101, 77)
    limit = 0.9999 if runtime == "torch-compiled" else 0.97
    assert np.mean(found.predict(batch).mask == reference.predict(batch).mask) >= limit
    assert found.runtime.split()[-1] == runtime.split("-")[1]


def test_a_runtime_that_does_not_run_the_file_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"does not run \.pt files.*torch-compiled"):
        open_backend(folder / "model.pt", "cpu", runtime="openvino")
    with pytest.raises(InputError, match="OpenVINO runs on the CPU"):
        open_backend(folder / "model.onnx", "cuda", runtime="openvino")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
@pytest.mark.parametrize("suffix", SUFFIXES.values())
def test_a_missing_device_is_refused(folder: Path, suffix: str) -> None:
    with pytest.raises(InputError, match="no CUDA GPU found"):
        open_backend(folder / f"model{suffix}", "cuda")


@pytest.mark.parametrize("suffix", SUFFIXES.values())
def test_an_unusable_file_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"model{suffix}"
    with pytest.raises(InputError, match="no such file"):
        open_backend(path)
    path.write_bytes(b"not a model")
    with pytest.raises(InputError, match="model"):
        open_backend(path)


def _identity(ir_version: int) -> onnx.ModelProto:
    ends = [onnx.helper.make_tensor_value_info(name, 1, [1]) for name in ("in", "out")]
    node = onnx.helper.make_node("Identity", ["in"], ["out"])
    graph = onnx.helper.make_graph([node], "other", ends[:1], ends[1:])
    opset = onnx.helper.make_opsetid("", 18)
    return onnx.helper.make_model(graph, ir_version=ir_version, opset_imports=[opset])


@pytest.mark.parametrize(
    ("ir_version", "said"),
    [(9, "without cfcontra metadata"), (99, r"cannot open it \(Unsupported model IR version")],
)
def test_onnx_that_is_not_ours_is_refused(tmp_path: Path, ir_version: int, said: str) -> None:
    path = tmp_path / "other.onnx"
    path.write_bytes(_identity(ir_version).SerializeToString())
    with pytest.raises(InputError, match=said) as caught:
        open_backend(path, "cpu")
    assert "/onnxruntime_src" not in str(caught.value)
