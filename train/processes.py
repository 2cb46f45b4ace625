"""How many processes make a step together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_only

from cfcontra.errors import InputError


@dataclass(frozen=True)
class Processes:
    """How many processes make a step together.

    Attributes:
        devices: processes on this machine: one a GPU, or so many on the CPU.
        nodes: machines.
        strategy: Lightning's name of a way that keeps the whole network in each process.
    """

    devices: int = 1
    nodes: int = 1
    strategy: str = "ddp"

    def placement(self, device: torch.device, rests: bool) -> dict[str, Any]:
        """Lightning's arguments for it.

        Args:
            device: the one to take where there is one process.
            rests: whether some parameters have no gradient in some steps.

        Raises:
            InputError: fewer than one process or machine, or more processes than GPUs.
        """
        if min(self.devices, self.nodes) < 1:
            raise InputError("--devices and --nodes: give 1 or more.")
        if device.type == "cuda" and self.devices > torch.cuda.device_count():
            raise InputError(
                f"--devices {self.devices}: only {torch.cuda.device_count()} GPUs found. "
                "Use fewer, or --device cpu."
            )
        if self.devices * self.nodes > 1:
            resting = rests and self.strategy == "ddp"
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
