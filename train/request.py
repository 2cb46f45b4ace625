"""What one run is asked to do, and what it leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from cfcontra.device import available_cores
from cfcontra.label_space import LABEL_SPACES, get_label_space
from cfcontra.metrics import Scores

from .processes import Processes
from .recipe import Recipe, StageName


@dataclass(frozen=True)
class RunRequest:
    """What one run is asked to do.

    Attributes:
        folder: where `model.pt`, `recipe.yaml` and the logs go.
        source: spec of the labelled source.
        target: spec of the target, whose labels are never opened; None trains on the
            source alone.
        val: spec of labelled data that is scored for reporting only.
        init: `model.pt` to start from, or None for fresh weights.
        report: whether to write `report.html`.
        loggers: tracking services beside CSV and TensorBoard.
    """

    folder: Path
    recipe: Recipe
    stage: StageName
    source: str
    target: str | None = None
    val: str | None = None
    init: Path | None = None
    device: str = "auto"
    threads: int | None = None
    processes: Processes = field(default_factory=Processes)
    overwrite: bool = False
    quiet: bool = False
    resume: bool = False
    report: bool = True
    loggers: list[str] = field(default_factory=list)

    def threads_each(self, device: torch.device) -> int | None:
        """CPU threads of each process; None for one that has the machine to itself."""
        if self.threads is None and device.type == "cpu" and self.processes.devices > 1:
            return max(1, available_cores() // self.processes.devices)
        return self.threads

    def about(self) -> dict[str, Any]:
        """What must be the same for a run to be the same."""
        return {
            "stage": self.stage,
            "source": self.source,
            "target": self.target,
            "init": None if self.init is None else str(self.init),
            "processes": self.processes.devices * self.processes.nodes,
            "recipe": self.recipe.to_dict(),
            **self._own_label_space(),
        }

    def _own_label_space(self) -> dict[str, Any]:
        """What stands in a label space's file, which may change under the same name."""
        name = self.recipe.label_space
        return {} if name in LABEL_SPACES else {"label_space": get_label_space(name).to_dict()}


@dataclass(frozen=True)
class RunResult:
    """What a run left behind: the model, its scores on `val` where that was given, a report."""

    model: Path
    scores: Scores | None
    report: Path | None
