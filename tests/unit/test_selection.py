"""Choosing among a run's networks without labels of the target."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cfcontra.checkpoint import load_checkpoint
from cfcontra.datasets import open_dataset
from cfcontra.label_space import get_label_space
from cfcontra.models import ModelOutput, SegmentationModel, build_model
from cfcontra.preprocessing import Preprocessing
from cfcontra.train import cli, target_probe
from cfcontra.train.selection import Selection
from cfcontra.train.target_probe import SCORES, TargetProbe

RECIPE = {
    "label_space": "camvid11",
    "precision": "fp32",
    "data": {"work_size": [32, 48], "batch_size": 2, "workers": 0},
    "adapt": {"steps": 6, "method": "minent", "ema": 0.9, "checkpoint_every": 2},
}


@pytest.fixture
def place(make_place: Callable[..., Path]) -> Path:
    return make_place(RECIPE, dusk_frames=5)


def adapt(run: str, *more: str) -> int:
    return cli.adapt(
        [
            *("--recipe", "small.yaml", "--source", "folder:day", "--target", "folder:dusk"),
            *("--run", run, "--quiet", "--device", "cpu", *more),
        ]
    )


def weights(run: str) -> dict[str, torch.Tensor]:
    return load_checkpoint(Path("runs") / run / "model.pt").model.state_dict()


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, two[name]) for name, value in one.items())


def probe(place: Path) -> TargetProbe:
    dataset = open_dataset("folder:dusk", get_label_space("camvid11"), labelled=False)
    return TargetProbe(dataset, Preprocessing((32, 48)), 3, lambda x: x, torch.device("cpu"))


def test_every_score_is_a_function_of_the_network_alone(place: Path) -> None:
    torch.manual_seed(0)
    network, other = (build_model("light", 11).eval() for _ in range(2))
    for model in (network, other):
        torch.nn.init.normal_(model.head.weight)  # type: ignore[arg-type]
    before = torch.random.get_rng_state()
    first = probe(place).scores(network, SCORES, other)
    assert first.keys() == set(SCORES)
    assert all(-4 < value < 4 for value in first.values())
    assert probe(place).scores(network, SCORES, other) == first
    assert torch.equal(before, torch.random.get_rng_state())
    assert probe(place).scores(network, ("averaging",), network)["averaging"] == 1.0


def test_one_batch_of_features_is_in_memory(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the batches are, the scores are the same."""
    torch.manual_seed(0)
    network, other = (build_model("light", 11).eval() for _ in range(2))
    whole = probe(place).scores(network, SCORES, other)
    alive: list[weakref.ref[torch.Tensor]] = []
    forward = type(network).forward_features

    def watched(self: SegmentationModel, images: torch.Tensor) -> ModelOutput:
        assert not any(features() is not None for features in alive)
        output = forward(self, images)
        alive.append(weakref.ref(output.features))
        return output

    monkeypatch.setattr(type(network), "forward_features", watched)
    monkeypatch.setattr(target_probe, "_BATCH", 1)
    assert probe(place).scores(network, SCORES, other) == pytest.approx(whole, abs=1e-3)
    assert len(alive) == 4 * 3  # plain, relit, mixed, and the other's; three frames each


def test_mirrored_predictions_are_mirrored_back(place: Path) -> None:
    """A network that looks at single pixels alone is as consistent as light lets it be."""
    network = build_model("light", 11).eval()

    class Pixelwise(type(network)):  # type: ignore[misc]
        def forward_features(self, images: torch.Tensor) -> object:
            from cfcontra.models import ModelOutput

            bright = images.mean(dim=1, keepdim=True) > images.mean()
            logits = torch.cat([bright.float(), 1 - bright.float()], dim=1).repeat(1, 6, 1, 1)
            return ModelOutput(logits[:, :11], images)

    network.__class__ = Pixelwise
    assert probe(place).scores(network, ("consistency",))["consistency"] > 0.7


@pytest.mark.parametrize("score", SCORES)
def test_the_best_candidate_is_kept(
    place: Path, score: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the score says is best, here the second of three, is what the run ends with."""
    steps = ("--selection.candidates", "3", "--selection.score")
    assert adapt("last", *steps, "last", "--selection.log_all", "true") == 0
    told = iter((0.1, 0.7, 0.3))
    found: list[dict[str, torch.Tensor]] = []

    def telling(self: Selection, network: torch.nn.Module, _: object) -> dict[str, float]:
        found.append({name: value.clone() for name, value in network.state_dict().items()})
        return {score: next(told)}

    monkeypatch.setattr(Selection, "_score", telling)
    assert adapt("best", *steps, score) == 0
    assert same(weights("best"), found[1])
    assert same(weights("last"), found[2]) and not same(found[1], found[2])
    record = load_checkpoint(place / "runs/best/model.pt").metadata.training["selection"]
    assert record == {
        "score": score,
        "step": 4,
        "candidates": {"2": 0.1, "4": 0.7, "6": 0.3},
    }


def test_by_default_the_average_is_held_against_the_network(place: Path) -> None:
    assert adapt("with") == 0 and adapt("without", "--ema", "0") == 0
    records = [
        load_checkpoint(place / "runs" / run / "model.pt").metadata.training
        for run in ("with", "without")
    ]
    assert records[0]["selection"]["score"] == "averaging"
    assert "1" not in records[0]["selection"]["candidates"]  # the average has only begun there
    assert records[1]["selection"]["score"] == "certainty"


def test_labels_choose_where_that_is_asked_for(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--selection.score", "miou", "--selection.candidates", "2")
    assert adapt("asked", *asked) == 2
    assert "Give --val" in capsys.readouterr().err
    assert adapt("asked", *asked, "--val", "folder:dusk") == 0
    assert adapt("plain", "--selection.score", "last") == 0
    record = load_checkpoint(place / "runs/asked/model.pt").metadata.training
    candidates = record["selection"]["candidates"]
    assert record["selection"]["score"] == "miou" and set(candidates) == {"3", "6"}
    assert record["val"]["miou"] == pytest.approx(max(candidates.values()), abs=1e-4)
    if record["selection"]["step"] == 6:  # looking has changed nothing
        assert same(weights("asked"), weights("plain"))


def test_a_score_that_is_no_number_is_never_kept_for_one(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = iter((math.nan, 0.2, math.nan))
    monkeypatch.setattr(Selection, "_score", lambda *_: {"density": next(told)})
    assert adapt("nan", "--selection.score", "density", "--selection.candidates", "3") == 0
    record = load_checkpoint(place / "runs/nan/model.pt").metadata.training["selection"]
    assert record["step"] == 4


def test_looking_does_not_change_the_run_and_a_resumed_one_remembers(place: Path) -> None:
    assert adapt("plain", "--selection.score", "last") == 0
    looked = ("--selection.score", "last", "--selection.log_all", "true")
    assert adapt("looked", *looked) == 0
    assert same(weights("plain"), weights("looked"))
    chosen = ("--selection.score", "density", "--selection.candidates", "3")
    assert adapt("chosen", *chosen) == 0
    model = place / "runs" / "chosen" / "model.pt"
    first = weights("chosen"), load_checkpoint(model).metadata.training["selection"]
    model.unlink()
    assert adapt("chosen", *chosen, "--resume") == 0
    assert same(first[0], weights("chosen"))
    assert load_checkpoint(model).metadata.training["selection"] == first[1]
