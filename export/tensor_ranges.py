"""The range of every tensor of a network on real frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from .agreement import Runner

_LOW, _HIGH = "/low", "/high"


def tensor_ranges(
    network: onnx.ModelProto, images: Sequence[NDArray[np.float32]], threads: int | None = None
) -> dict[str, tuple[float, float]]:
    """Lowest and highest value of each float tensor that an operator gives, over the images.

    The reductions run inside the network, so that no tensor is held.

    Args:
        images: network inputs `[1, 3, h, w]`.
    """
    typed = onnx.shape_inference.infer_shapes(network)
    known = [*typed.graph.value_info, *typed.graph.output]
    names = [info.name for info in known if info.type.tensor_type.elem_type == TensorProto.FLOAT]
    measured = onnx.ModelProto()
    measured.CopyFrom(network)
    del measured.graph.output[:]
    for name in names:
        for kind, operator in ((_LOW, "ReduceMin"), (_HIGH, "ReduceMax")):
            node = helper.make_node(operator, [name], [name + kind], keepdims=0)
            measured.graph.node.append(node)
            output = helper.make_tensor_value_info(name + kind, TensorProto.FLOAT, [])
            measured.graph.output.append(output)
    found = dict.fromkeys(names, (np.inf, -np.inf))
    runner = Runner(measured, threads)
    for image in images:
        values = runner.values(image)
        for name in names:
            low, high = found[name]
            found[name] = (
                float(np.minimum(low, values[name + _LOW])),
                float(np.maximum(high, values[name + _HIGH])),
            )
    return found
