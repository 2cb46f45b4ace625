"""A graph without what never changes: constants folded, unused values left out."""

from __future__ import annotations

import logging

import onnx


def simplified(file: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with what can be computed now computed, and unused constants left out.

    Operators that quantise stay. With a static size that is all of the geometry.
    """
    from onnxscript import optimizer

    logging.getLogger("onnxscript").setLevel(logging.ERROR)
    folded: onnx.ModelProto = optimizer.optimize(file)
    del folded.graph.value_info[:]  # inferred again by whoever opens the file
    return folded
