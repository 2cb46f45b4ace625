"""What tools leave behind in a network, put in order."""

from __future__ import annotations

import onnx


def tidy(network: onnx.ModelProto) -> onnx.ModelProto:
    """Sort the operators, and drop unused operator sets and noted shapes; in place."""
    from onnxruntime.quantization.onnx_model import ONNXModel

    ONNXModel(network).topological_sort()
    used = {node.domain for node in network.graph.node}
    kept = [opset for opset in network.opset_import if opset.domain in used]
    del network.opset_import[:]
    network.opset_import.extend(kept)
    del network.graph.value_info[:]
    return network
