"""A graph without what never changes: constants folded, unused values left out."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import onnx
from numpy.typing import NDArray

from .agreement import cpu_session

FLOAT = onnx.TensorProto.FLOAT
_COMPUTED = ("Resize", "Reshape", "Transpose", "Slice", "Concat", "Unsqueeze", "Squeeze", "Cast")


def simplified(file: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with what can be computed now computed, and unused constants left out.

    Operators that quantise stay. With a static size that is all of the geometry.
    """
    from onnxscript import optimizer

    with quiet():
        folded: onnx.ModelProto = optimizer.optimize(file)
    del folded.graph.value_info[:]  # inferred again by whoever opens the file
    return folded


def compute_resized(network: onnx.ModelProto) -> None:
    """Replace constants that are resized by what they give, in place.

    Such are position embeddings: folding leaves them for their size, and their resizing (bicubic,
    with antialias) is beyond what some runtimes can do.
    """
    graph = network.graph
    constants = {weights.name for weights in graph.initializer}
    inner: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type in _COMPUTED and constants.issuperset(name for name in node.input if name):
            constants.update(node.output)
            inner.append(node)
    last = max((i for i, node in enumerate(inner) if node.op_type == "Resize"), default=-1)
    resized = {node.output[0] for node in inner if node.op_type == "Resize"}
    if last < 0:
        return
    values = _values(network, inner[: last + 1], sorted(resized))
    kept = [node for node in graph.node if node.output[0] not in resized]
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(
        onnx.numpy_helper.from_array(value, name) for name, value in values.items()
    )


def _values(
    network: onnx.ModelProto, nodes: list[onnx.NodeProto], names: list[str]
) -> dict[str, NDArray[Any]]:
    """What operators on constants alone give."""
    outputs = [onnx.helper.make_tensor_value_info(name, FLOAT, None) for name in names]
    graph = onnx.helper.make_graph(nodes, "constants", [], outputs, [*network.graph.initializer])
    model = onnx.helper.make_model(
        graph, opset_imports=[*network.opset_import], ir_version=network.ir_version
    )
    session = cpu_session(model, threads=1)
    return dict(zip(names, session.run(names, {}), strict=True))


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
