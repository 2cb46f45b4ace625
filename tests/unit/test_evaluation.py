"""Evaluation beyond the mIoU: calibration, subsets, windows, averaging, pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cfcontra.calibration import BINS, CalibrationScore
from cfcontra.checkpoint import Checkpoint, load_checkpoint
from cfcontra.errors import InputError
from cfcontra.label_space import LABEL_SPACES, LabelSpace
from cfcontra.metrics import SegmentationScore
from cfcontra.runtime.averaged import AveragedBackend, Averaging
from cfcontra.runtime.base import Backend, Prediction
from cfcontra.runtime.torch_backend import TorchBackend
from cfcontra.sliding_window import windows
from cfcontra.train.confusion import draw_confusion

RNG = np.random.default_rng(0)


def test_calibration_against_a_loop_over_pixels() -> None:
    score = CalibrationScore()
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for _ in range(3):
        mask, label = RNG.integers(0, 4, (2, 20, 30), dtype=np.uint8)
        label[:3] = 255
        confidence = RNG.integers(0, 256, (20, 30), dtype=np.uint8)
        score.update(mask, confidence, label)
        for m, c, y in zip(mask.flat, confidence.flat, label.flat, strict=True):
            if y == 255:
                continue
            value = int(c) / 255
            place = next(b for b in range(BINS) if value <= (b + 1) / BINS + 1e-12)
            bins[place].append((value, bool(m == y)))
    total = sum(map(len, bins))
    expected = 0.0
    found = score.compute()
    for index, pixels in enumerate(bins):
        confident = sum(value for value, _ in pixels) / len(pixels)
        accurate = sum(right for _, right in pixels) / len(pixels)
        expected += len(pixels) / total * abs(accurate - confident)
        assert found.confidence[index] == pytest.approx(confident)
        assert found.accuracy[index] == pytest.approx(accurate)
        assert found.share[index] == pytest.approx(len(pixels) / total)
    assert found.ece == pytest.approx(expected)


def test_calibration_of_nothing_is_no_number() -> None:
    found = CalibrationScore().compute()
    assert np.isnan(found.ece) and found.to_dict()["accuracy"] == [None] * BINS


def test_synthia_protocols_average_the_classes_they_name() -> None:
    space = LABEL_SPACES["cityscapes19"]
    assert [len(classes) for classes in space.subsets.values()] == [16, 13]
    assert not {"terrain", "truck", "train"} & set(space.subsets["16 classes"])
    left_out = {"terrain", "truck", "train", "wall", "fence", "pole"}
    assert not left_out & set(space.subsets["13 classes"])
    assert list(LABEL_SPACES["cityscapes16"].subsets) == ["13 classes"]
    score = SegmentationScore(space)
    label = np.arange(19, dtype=np.uint8).repeat(2).reshape(1, -1)
    mask = label.copy()
    mask[label == 9] = 3  # terrain seen as wall: terrain 0, wall one half
    score.update(mask, label)
    scores = score.compute()
    assert scores.mean_over(space.subsets["16 classes"]) == pytest.approx(15.5 / 16)
    assert scores.mean_over(space.subsets["13 classes"]) == 1.0


def test_subsets_of_ones_own_label_space() -> None:
    data = {
        "name": "mine",
        "classes": ["road", "car", "bus"],
        "colors": [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
        "subsets": {"vehicles": ["car", "bus"]},
    }
    space = LabelSpace.from_dict(data, "mine.yaml")
    assert space.subsets == {"vehicles": ("car", "bus")}
    assert LabelSpace.from_dict(space.to_dict(), "again") == space
    with pytest.raises(InputError, match="subset 'vehicles' names lorry"):
        LabelSpace.from_dict({**data, "subsets": {"vehicles": ["lorry"]}}, "mine.yaml")


@pytest.mark.parametrize("overlap", [0.0, 1 / 3, 0.9])
@pytest.mark.parametrize(
    ("size", "window"), [((37, 91), (16, 32)), ((16, 32), (16, 32)), ((9, 50), (16, 32))]
)
def test_windows_cover_every_pixel_from_inside(
    size: tuple[int, int], window: tuple[int, int], overlap: float
) -> None:
    covered = np.zeros(size, dtype=int)
    for rows, columns in windows(size, window, overlap):
        assert rows.start >= 0 and rows.stop <= size[0] and columns.stop <= size[1]
        assert rows.stop - rows.start == min(window[0], size[0])
        assert columns.stop - columns.start == min(window[1], size[1])
        covered[rows, columns] += 1
    assert covered.min() >= 1


@pytest.mark.parametrize(
    ("window", "overlap", "message"),
    [((0, 4), 0.0, "must be positive"), ((4, 4), 1.0, "less than 1"), ((4, 4), -0.1, "0 or more")],
)
def test_impossible_windows(window: tuple[int, int], overlap: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        windows((8, 8), window, overlap)


class Pixelwise(Backend):
    """Class probabilities of a pixel from its colour alone, whatever is around it."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.metadata, self.device, self.runtime = checkpoint.metadata, "cpu", "pixelwise"
        weights = np.random.default_rng(1).normal(size=(3, 11))
        self._weights = (weights / 40).astype(np.float32)
        self.scales: list[float] = []

    def probabilities(self, frames: NDArray[np.uint8], scale: float = 1.0) -> NDArray[np.float32]:
        self.scales.append(scale)
        powers = np.exp(frames.astype(np.float32) @ self._weights)
        shares: NDArray[np.float32] = powers / powers.sum(-1, keepdims=True)
        return shares.transpose(0, 3, 1, 2)

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        shares = self.probabilities(frames)
        top = np.rint(shares.max(1) * 255).astype(np.uint8)
        return Prediction(shares.argmax(1).astype(np.uint8), top)


def test_averaging_what_does_not_depend_on_place_changes_nothing(model_file: object) -> None:
    backend = Pixelwise(load_checkpoint(model_file))  # type: ignore[arg-type]
    frames = RNG.integers(0, 256, (2, 23, 41, 3), dtype=np.uint8)
    averaging = Averaging((0.5, 1.0), flip=True, window=(11, 16), overlap=0.4)
    averaged = AveragedBackend(backend, averaging)
    expected, found = backend.predict(frames), averaged.predict(frames)
    assert np.array_equal(expected.mask, found.mask)
    assert np.abs(expected.confidence.astype(int) - found.confidence).max() <= 1
    assert set(backend.scales[1:]) == {0.5, 1.0}
    assert "scales 0.5, 1; mirrored too; windows 11x16" in averaged.runtime


def test_torch_probabilities_agree_with_the_masks(model_file: object) -> None:
    backend = TorchBackend(load_checkpoint(model_file), "cpu")  # type: ignore[arg-type]
    frames = RNG.integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)  # the working size
    probabilities = backend.probabilities(frames)
    assert probabilities.shape == (1, 11, 64, 96)
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    agree = (probabilities.argmax(1) == backend.predict(frames).mask).mean()
    assert agree > 0.999
    smaller = backend.probabilities(frames, 0.5)
    assert smaller.shape == probabilities.shape and not np.allclose(smaller, probabilities)


def test_averaging_mirrored_frames_by_hand(model_file: object) -> None:
    backend = TorchBackend(load_checkpoint(model_file), "cpu")  # type: ignore[arg-type]
    frames = RNG.integers(0, 256, (1, 50, 70, 3), dtype=np.uint8)
    one = backend.probabilities(frames)
    two = backend.probabilities(np.ascontiguousarray(frames[:, :, ::-1]))[..., ::-1]
    averaged = AveragedBackend(backend, Averaging(flip=True))
    np.testing.assert_allclose(averaged.probabilities(frames), (one + two) / 2, atol=1e-6)


def test_what_is_averaged_says_what_it_says_by_itself(
    model_file: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = Pixelwise(load_checkpoint(model_file))  # type: ignore[arg-type]
    said = {"runtime": "pixelwise", "device": "cpu", "computes_in": "bf16 (12)"}
    monkeypatch.setattr(backend, "describe", lambda: said)
    found = AveragedBackend(backend, Averaging(flip=True)).describe()
    assert found == {**said, "runtime": "pixelwise (mirrored too)"}


@pytest.mark.parametrize("scales", [(), (0.0,), (1.0, 100.0)])
def test_impossible_scales(scales: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="Scales"):
        Averaging(scales)


def test_confusion_picture_shades_cells_by_share_of_the_row() -> None:
    matrix = np.array([[8, 2, 0], [0, 0, 0], [1, 0, 9]])
    picture = draw_confusion(
        matrix, ["road", "car", "a name longer than the heading of the picture, so there"]
    )
    assert picture.ndim == 3 and picture.dtype == np.uint8
    corner = picture[-8 - 40 * 3 :, -8 - 40 * 3 :]  # the cells and the padding
    cells = np.array([[corner[40 * r + 3, 40 * c + 3] for c in range(3)] for r in range(3)])
    assert (cells[1] == 235).all()  # no pixel of that class
    assert (cells[0, 2] == 255).all() and cells[0, 0].sum() < cells[0, 1].sum() < 3 * 255
    assert cells[2, 2].sum() < cells[0, 0].sum()


def test_torch_rng_is_not_touched(model_file: object) -> None:
    backend = TorchBackend(load_checkpoint(model_file), "cpu")  # type: ignore[arg-type]
    before = torch.random.get_rng_state()
    AveragedBackend(backend, Averaging(flip=True)).predict(np.zeros((1, 40, 60, 3), np.uint8))
    assert torch.equal(before, torch.random.get_rng_state())
