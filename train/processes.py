"""How many processes make a step together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch.strategies import StrategyRegistry
from lightning.pytorch.utilities import rank_zero_only

from cfcontra.config import nearest_hint
from cfcontra.errors import InputError

STRATEGIES = (
    "ddp",
    "ddp_find_unused_parameters_false",
    "ddp_find_unused_parameters_true",
)
"""Those of Lightning's strategies that a run works with."""


@dataclass(frozen=True)
class Processes:
    """How many processes make a step together.

    Attributes:
        devices: processes on this machine: one a GPU, or so many on the CPU.
        nodes: machines.
        strategy: Lightning's name of a way that keeps the whole network in each process, one
            of `STRATEGIES`.

    Raises:
        InputError: fewer than one process or machine, or another strategy.
    """

    devices: int = 1
    nodes: int = 1
    strategy: str = "ddp"

    def __post_init__(self) -> None:
        if min(self.devices, self.nodes) < 1:
            raise InputError("--devices and --nodes: give 1 or more.")
        if self.strategy in STRATEGIES:
            return
        known = StrategyRegistry.available_strategies()
        if self.strategy not in known:
            hint = nearest_hint(self.strategy, STRATEGIES)
            raise InputError(
                f"--strategy {self.strategy}: no such strategy.{hint} Known: "
                f"{', '.join(STRATEGIES)}."
            )
        if self.strategy.startswith("ddp"):
            reason = "its processes cannot hand weights, banks and teacher back; the commands "
            reason += "start processes of their own, or run in those that SLURM or torchrun started"
        else:
            reason = "the prototype banks, the teacher and the weight average need the whole "
            reason += "network in each process, which it takes apart or moves elsewhere"
        raise InputError(
            f"--strategy {self.strategy}: {reason}. Use {' or '.join(STRATEGIES)}; what saves "
            "memory is --precision bf16, a smaller batch with --optimizer.accumulate, or a smaller "
            "--data.work_size."
        )

    def placement(self, device: torch.device, rests: bool) -> dict[str, Any]:
        """Lightning's arguments for it.

        Args:
            device: the one to take where there is one process.
            rests: whether some parameters have no gradient in some steps.

        Raises:
            InputError: more processes than GPUs.
        """
        if device.type == "cuda" and self.devices > torch.cuda.device_count():
            raise InputError(
                f"--devices {self.devices}: only {torch.cuda.device_count()} GPUs found. "
                "Use fewer, or --device cpu."
            )
        if self.devices * self.nodes > 1:
            resting = rests and self.strategy in STRATEGIES[:2]
            return {
                "devices": self.devices,
                "num_nodes": self.nodes,
                "strategy": "ddp_find_unused_parameters_true" if resting else self.strategy,
                "sync_batchnorm": device.type == "cuda",  # which torch has for GPUs only
            }
        return {"devices": [device.index or 0] if device.type == "cuda" else 1}


def process_rank() -> int:
    """Number of this process as its environment says, known before the processes meet."""
    return int(getattr(rank_zero_only, "rank", 0))
