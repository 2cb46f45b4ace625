"""Which of a run's networks is kept: by scores that need no label of the target, unless asked."""

from __future__ import annotations

import copy
import logging
import math
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from cfcontra.checkpoint import Checkpoint
from cfcontra.datasets import SegmentationDataset
from cfcontra.models import SegmentationModel
from cfcontra.runtime.torch_backend import TorchBackend

from .averaging import result_network
from .evaluate import evaluate_backend
from .module import AdaptationModule
from .settings import SelectionSettings
from .step_callback import StepCallback
from .target_probe import SCORES, ScoreName, TargetProbe

LOGGER = logging.getLogger(__name__)


class Selection(StepCallback):
    """Scores the run's network now and then, and ends the run with the best one's weights.

    Looks at what the run would end with, the weight average where there is one, and
    changes neither it nor any randomness of the run. A tie goes to the later network.

    Args:
        probe: the target frames it is scored on.
        settings: by which score, and how often.
        steps: of the run.
        val: labelled data, looked at for the score `miou` alone.
    """

    def __init__(
        self,
        probe: TargetProbe,
        settings: SelectionSettings,
        steps: int,
        val: SegmentationDataset | None = None,
    ) -> None:
        self._probe, self._settings, self._steps, self._val = probe, settings, steps, val
        count = min(settings.candidates, steps)
        self._due = {round(steps * (number + 1) / count) for number in range(count)}
        self._best: dict[str, Any] | None = None
        self.candidates: dict[int, float] = {}

    def on_step_end(self, trainer: Trainer, module: AdaptationModule) -> None:
        step = trainer.global_step
        if step not in self._due or step in self.candidates or not trainer.is_global_zero:
            return
        network = result_network(trainer, module)
        if (
            self._settings.score == "averaging"
            and step < self._steps
            and _equal(network, module.network)
        ):
            return  # the average has only begun, and agrees with the network whatever it is worth
        scores = self._score(network, module)
        for logger in trainer.loggers:  # at once, not at the next step that is logged anyway
            logger.log_metrics({f"label_free/{k}": v for k, v in scores.items()}, step - 1)
        score = float(step) if self._settings.score == "last" else scores[self._settings.score]
        self.candidates[step] = score
        best = None if self._best is None else self._best["score"]
        if best is None or math.isnan(best) or score >= best:
            self._best = {"step": step, "score": score, "state": _copied(network)}

    def _score(self, network: SegmentationModel, module: AdaptationModule) -> dict[str, float]:
        chosen = self._settings.score
        assert chosen != "auto", "decided by the run"
        names: tuple[ScoreName, ...] = ()
        if chosen != "last" and chosen != "miou":
            names = (chosen,)
        if self._settings.log_all:
            names = SCORES
        other = module.network if network is not module.network else None
        scores = {}
        if names:
            with module.looking(network), module.looking(other or network):
                scores = self._probe.scores(network, names, other)
        if chosen == "miou":
            assert self._val is not None, "asked for by the run"
            copied = Checkpoint(copy.deepcopy(network), module.metadata)  # a backend changes it
            scores["miou"] = evaluate_backend(
                TorchBackend(copied, str(module.device)), self._val
            ).miou
        return scores

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._best is None or self._best["step"] == max(self.candidates):
            return
        assert isinstance(pl_module, AdaptationModule)
        pl_module.network.load_state_dict(self._best["state"])
        LOGGER.info(
            "kept the network of step %d of %d by its %s",
            self._best["step"],
            self._steps,
            self._settings.score,
        )

    def record(self) -> dict[str, Any]:
        """What was chosen, and from what, for the model's metadata."""
        assert self._best is not None
        return {
            "score": self._settings.score,
            "step": self._best["step"],
            "candidates": {str(step): round(value, 5) for step, value in self.candidates.items()},
        }

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best, "candidates": self.candidates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._best, self.candidates = state_dict["best"], state_dict["candidates"]


def _equal(one: SegmentationModel, other: SegmentationModel) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def _copied(network: SegmentationModel) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
