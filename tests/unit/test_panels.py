"""What is logged besides losses: against loops, and without a trace in the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from cfcontra.checkpoint import load_checkpoint
from cfcontra.datasets import SegmentationDataset, open_dataset
from cfcontra.label_space import LABEL_SPACES
from cfcontra.metrics import Scores
from cfcontra.models import build_model
from cfcontra.runtime import Backend
from cfcontra.train import cli, validation
from cfcontra.train.curves import read_curves
from cfcontra.train.evaluate import evaluate_backend
from cfcontra.train.methods.contrast import Contrast
from cfcontra.train.panels import between_classes, prototype_similarity
from cfcontra.train.settings import ContrastSettings
from cfcontra.train.validation import Validation, accuracy_and_coverage, label_counts

RECIPE = {
    "label_space": "camvid11",
    "precision": "fp32",
    "data": {"work_size": [32, 48], "batch_size": 2, "workers": 0},
    "adapt": {
        "steps": 6,
        "ema": 0.9,
        "method": "cfcontra",
        "contrast": {"pseudo_labels": "confidence", "threshold": 0.0},
        "teacher": {"threshold": 0.0},
    },
}


@pytest.fixture
def place(make_place: Callable[..., Path]) -> Path:
    return make_place(RECIPE, dusk_frames=5)


def adapt(run: str, *more: str) -> int:
    return cli.adapt(
        [
            *("--recipe", "small.yaml", "--source", "folder:day", "--target", "folder:dusk"),
            *("--run", run, "--quiet", "--device", "cpu", "--no-report", *more),
        ]
    )


def recorded(logs: Path) -> EventAccumulator:
    return EventAccumulator(str(logs), size_guidance={"images": 0}).Reload()


def images(logs: Path, tag: str) -> list[int]:
    return [event.step for event in recorded(logs).Images(tag)]


def test_accuracy_and_coverage_against_loops() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 4, (2, 9, 7), generator=generator)
    labels = torch.randint(0, 3, (2, 9, 7), generator=generator)
    truth[torch.rand(truth.shape, generator=generator) < 0.2] = 255
    labels[torch.rand(truth.shape, generator=generator) < 0.4] = 255
    accuracy, coverage = accuracy_and_coverage(label_counts(labels, truth, 5))
    pairs = [
        (t, p) for t, p in zip(truth.flatten().tolist(), labels.flatten().tolist(), strict=True)
    ]
    for index in range(5):
        so = [t == index for t, p in pairs if p == index and t != 255]
        of_it = [p != 255 for t, p in pairs if t == index]
        if so:
            assert accuracy[index] == pytest.approx(sum(so) / len(so))
        else:
            assert np.isnan(accuracy[index])
        if of_it:
            assert coverage[index] == pytest.approx(sum(of_it) / len(of_it))
        else:
            assert np.isnan(coverage[index])


def test_prototype_similarity_against_a_loop() -> None:
    contrast = Contrast(build_model("light", 4), ContrastSettings(dimension=6))
    generator = torch.Generator().manual_seed(0)
    for bank in (contrast.source_bank, contrast.target_bank):
        bank.update(torch.randn(4, 6, generator=generator), torch.tensor([3.0, 1, 0, 2]))
    found = prototype_similarity(contrast)
    off = []
    for row, one in enumerate(contrast.source_bank.prototypes.double()):
        for column, two in enumerate(contrast.target_bank.prototypes.double()):
            if 2 in (row, column):
                assert np.isnan(found[row, column])
                continue
            assert found[row, column] == pytest.approx(float((one * two).sum()))
            off += [float((one * two).sum())] if row != column else []
    assert between_classes(found) == pytest.approx(np.mean(off))


@pytest.mark.parametrize("ema", ["0.9", "0"])
def test_looking_with_labels_and_drawing_leave_no_trace(place: Path, ema: str) -> None:
    """Weights to the bit, with teacher and dropout-like randomness, weight average or none."""
    more = ("--masking.weight", "1", "--masking.patch", "8", "--style.name", "image-stats")
    more += ("--ema", ema)
    assert adapt("plain", *more, "--val_every", "0") == 0
    assert adapt("shown", *more, "--val", "folder:dusk", "--val_every", "2") == 0
    one, two = (
        load_checkpoint(place / "runs" / run / "model.pt").model.state_dict()
        for run in ("plain", "shown")
    )
    assert all(torch.equal(one[name], two[name]) for name in one)
    curves = read_curves(place / "runs/shown/logs/metrics.csv")
    assert [step for step, _ in curves["val/miou"]] == [1, 3]
    tags = [name for name in curves if name.startswith("pseudo_label_")]
    assert any(name.startswith("pseudo_label_accuracy_teacher/") for name in tags)
    assert any(name.startswith("pseudo_label_coverage_contrast/") for name in tags)
    for name in tags:
        assert all(0 <= value <= 1 for _, value in curves[name])
    # Every pixel is labelled where nothing has to be sure.
    covered = [v for n in tags if "coverage" in n for _, v in curves[n]]
    assert covered and min(covered) == 1.0


def test_a_run_is_looked_at_without_being_asked_to(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An eighth of the steps apart: few validation frames, the mIoU in the bar, pictures."""
    given = ("--recipe", "small.yaml", "--source", "folder:day", "--device", "cpu", "--no-report")
    target = ("--target", "folder:dusk", "--val", "folder:dusk")
    assert cli.adapt([*given, *target, "--run", "ad", "--steps", "17", "--val_frames", "3"]) == 0
    bar = capsys.readouterr().err
    curve = read_curves(place / "runs/ad/logs/metrics.csv")["val/miou"]
    assert [step for step, _ in curve] == [2, 5, 8, 11, 14]
    assert f"mIoU {100 * curve[-1][1]:.1f}" in bar
    assert images(place / "runs/ad/logs", "target") == [3, 6, 9, 12, 15, 17]
    assert images(place / "runs/ad/logs", "prototype_similarity") == [3, 6, 9, 12, 15, 17]
    assert cli.train([*given, "--run", "src", "--quiet", "--train.steps", "3"]) == 0
    assert images(place / "runs/src/logs", "source") == [1, 2, 3]


def test_a_step_of_several_batches_is_looked_at_once(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[Scores] = []

    def counting(backend: Backend, dataset: SegmentationDataset) -> Scores:
        scored.append(evaluate_backend(backend, dataset))
        return scored[-1]

    monkeypatch.setattr(validation, "evaluate_backend", counting)
    more = ("--steps", "4", "--optimizer.accumulate", "2", "--val_every", "2")
    more += ("--method", "source-only", "--selection.score", "last")
    assert adapt("many", *more, "--val", "folder:dusk") == 0
    curve = read_curves(place / "runs/many/logs/metrics.csv")["val/miou"]
    assert curve == [(1, scored[0].miou)] and len(scored) == 1
    assert images(place / "runs/many/logs", "target") == [2, 4]


@pytest.mark.parametrize(("most", "scored"), [(2, [0, 3]), (3, [0, 2, 4]), (5, None), (0, None)])
def test_validation_takes_frames_from_all_over_the_data(
    place: Path, most: int, scored: list[int] | None
) -> None:
    dataset = open_dataset("folder:dusk", LABEL_SPACES["camvid11"])
    kept = Validation(dataset, 1, most)._dataset
    found = [Path(kept[index].origin).stem for index in range(len(kept))]
    assert found == [f"{number:03d}" for number in scored or range(5)]


def test_pictures_come_without_labels_too(place: Path, opened_files: list[str]) -> None:
    opened_files.clear()
    assert adapt("shown", "--val_every", "3") == 0
    assert not [path for path in opened_files if "dusk/labels" in path]
    events = recorded(place / "runs/shown/logs")
    assert set(events.Tags()["images"]) == {"target", "prototype_similarity"}
    assert [event.step for event in events.Images("target")] == [3, 6]
    picture = events.Images("target")[0]
    assert (picture.height, picture.width) == (3 * 32, 3 * 48)
    assert "bank_cosine_between_classes" in events.Tags()["scalars"]


def test_validation_scores_the_average_that_the_run_ends_with(place: Path) -> None:
    """The last validation but one of a longer run is the result of a run that stops there."""
    more = ("--val", "folder:dusk", "--optimizer.horizon", "6", "--selection.score", "last")
    assert adapt("short", *more, "--steps", "4") == 0
    assert adapt("long", *more, "--val_every", "4") == 0
    ended = load_checkpoint(place / "runs/short/model.pt").metadata.training["val"]["miou"]
    curves = read_curves(place / "runs/long/logs/metrics.csv")
    assert curves["val/miou"] == [(3, pytest.approx(ended, abs=1e-6))]
