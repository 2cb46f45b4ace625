"""The model of `cfcontra-segment`, as its arguments ask for it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cfcontra.runtime import Backend

STREAMS = 8
"""Frames in the model at the same time, at most: each takes memory."""


class ModelChoice(NamedTuple):
    """The arguments that say which model runs how; equal choices open equal backends."""

    model: Path
    device: str
    threads: int | None
    runtime: str
    half: bool
    work_size: tuple[int, int] | None

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> ModelChoice:
        """What the command's arguments choose."""
        return cls(*(getattr(arguments, name) for name in cls._fields))


def open_model(choice: ModelChoice, streams: int = STREAMS) -> Backend:
    """Open what was chosen.

    Raises:
        InputError: what `open_backend` says, or 16 bits where the runtime has none.
    """
    from cfcontra.runtime import half_runtime, open_backend

    runtime = half_runtime(choice.model, choice.runtime) if choice.half else choice.runtime
    return open_backend(
        choice.model, choice.device, choice.threads, runtime, choice.work_size, streams=streams
    )
