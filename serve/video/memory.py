"""What is remembered from frame to frame, in a form that a later process can go on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

from numpy.typing import NDArray

from .source import Mark

Memory: TypeAlias = Mapping[str, NDArray[Any]]
"""Name → array; names begin with that of who remembers. Arrays are never written to again."""


@runtime_checkable
class Remembers(Protocol):
    """Its next result depends on the frames before; then a run can be gone on with exactly."""

    def memory(self) -> Memory:
        """All that the next result depends on."""

    def remember(self, memory: Memory) -> None:
        """Go on as who gave this `memory`; what it lacks is left as it is."""


@runtime_checkable
class Collects(Protocol):
    """An observer that keeps something of what it has seen on the disk by itself."""

    def checkpoint(self, mark: Mark) -> None:
        """Let all that was seen before `mark` survive the end of the process."""
