"""Methods by name: one small file each, over shared losses."""

from __future__ import annotations

from .base import Method, StepInput
from .cfcontra import CFContra
from .minent import MinEnt
from .source_only import SourceOnly

METHODS: dict[str, type[Method]] = {
    "source-only": SourceOnly,
    "minent": MinEnt,
    "cfcontra": CFContra,
}

__all__ = ["METHODS", "Method", "StepInput"]
