"""A graph without what never changes: constants folded, unused values left out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import onnx


def simplified(file: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with what can be computed now computed, and unused constants left out.

    Operators that quantise stay. With a static size that is all of the geometry.
    """
    from onnxscript import optimizer

    with quiet():
        folded: onnx.ModelProto = optimizer.optimize(file)
    del folded.graph.value_info[:]  # inferred again by whoever opens the file
    return folded


@contextmanager
def quiet() -> Iterator[None]:
    """Without what onnxscript says of each operator that it does not fold."""
    logger = logging.getLogger("onnxscript")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
