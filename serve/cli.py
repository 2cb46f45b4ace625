"""`cfcontra-segment` and `cfcontra-demo`."""

from __future__ import annotations

import os

from cfcontra.command import run_command


def segment(argv: list[str] | None = None) -> int:
    """`cfcontra-segment`: videos in, overlays and masks out."""
    return run_command(_segment, argv)


def demo(argv: list[str] | None = None) -> int:
    """`cfcontra-demo`: a web page to try a model on pictures."""
    return run_command(_demo, argv)


def _segment(argv: list[str]) -> None:
    _wait_passively()
    from .segment_command import run

    run(argv)


def _demo(argv: list[str]) -> None:
    _wait_passively()
    from .web.command import run_demo

    run_demo(argv)


def _wait_passively() -> None:
    """Let idle OpenMP threads sleep: by default they spin, on cores that other stages need.

    Read when torch is loaded, so this comes before that.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
