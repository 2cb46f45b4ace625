"""What TensorRT would refuse of a graph, by its documented rules: no GPU and no TensorRT needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from . import tensorrt_rules as rules

_POOLS = ("AveragePool", "MaxPool", "LpPool")


@dataclass(frozen=True)
class Refusal:
    """One thing that TensorRT would refuse.

    Attributes:
        node: name and operator, or where else it is.
        reason: in words.
    """

    node: str
    reason: str

    def __str__(self) -> str:
        return f"{self.node}: {self.reason}"


def tensorrt_refusals(file: onnx.ModelProto) -> list[Refusal]:
    """Everything in a graph that breaks one of `tensorrt_rules`, in the graph's order."""
    return list(_Checker(file).refusals())


class _Checker:
    def __init__(self, file: onnx.ModelProto) -> None:
        self._file, self._graph = file, file.graph
        typed = onnx.shape_inference.infer_shapes(file).graph
        known = [*typed.value_info, *typed.input, *typed.output]
        self._types = {
            value.name: TensorProto.DataType.Name(value.type.tensor_type.elem_type)
            for value in known
        }
        self._constants: dict[str, onnx.TensorProto] = {w.name: w for w in self._graph.initializer}
        for node in self._graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self._constants[node.output[0]] = node.attribute[0].t
        for name, tensor in self._constants.items():
            self._types[name] = TensorProto.DataType.Name(tensor.data_type)
        self._ends = {value.name for value in (*self._graph.input, *self._graph.output)}

    def refusals(self) -> Iterator[Refusal]:
        for opset in self._file.opset_import:
            if opset.domain in ("", "ai.onnx") and opset.version not in rules.OPSETS:
                first, last = rules.OPSETS[0], rules.OPSETS[-1]
                yield Refusal(f"opset {opset.version}", f"not one of {first} to {last}")
        for node in self._graph.node:
            name = f"{node.name or node.output[0]} ({node.op_type})"
            for reason in self._of_node(node):
                yield Refusal(name, reason)

    def _of_node(self, node: onnx.NodeProto) -> Iterator[str]:
        if node.domain not in ("", "ai.onnx"):
            yield f"operator of the domain '{node.domain}'"
            return
        if node.op_type not in rules.TYPES:
            yield "operator that is not taken"
            return
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        yield from self._of_types(node, attributes)
        for index in rules.CONSTANT_INPUTS.get(node.op_type, ()):
            if len(node.input) > index and node.input[index] not in {"", *self._constants}:
                yield f"input '{node.input[index]}' must be a constant"
        if node.op_type == "Resize":
            yield from _of_resize(attributes)
        elif node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            yield from self._of_quantisation(node)
        elif node.op_type in _POOLS:
            yield from _of_pooling(node, attributes)
        elif node.op_type == "LayerNormalization" and any(node.output[1:]):
            yield "gives more than its first output"
        elif node.op_type == "TopK" and not attributes.get("sorted", 1):
            yield "not sorted"

    def _of_types(self, node: onnx.NodeProto, attributes: dict[str, Any]) -> Iterator[str]:
        allowed = rules.TYPES[node.op_type]
        indices = rules.DATA_INPUTS.get(node.op_type, tuple(range(len(node.input))))
        for index in indices:
            if index < len(node.input) and node.input[index]:
                kind = self._types.get(node.input[index])
                if kind is not None and kind not in allowed:
                    yield f"works on {kind.lower()}"
                    return
        if node.op_type == "Cast":
            source, to = self._types.get(node.input[0]), TensorProto.DataType.Name(attributes["to"])
            for one, other in ((source, to), (to, source)):
                if one == "UINT8" and other is not None and other not in rules.FLOATS | {"UINT8"}:
                    yield f"turns {source.lower() if source else '?'} into {to.lower()}"
                    return
        for output in node.output:
            if self._types.get(output) == "UINT8" and output not in self._ends:
                yield "gives uint8, which only the network's ends may be"

    def _of_quantisation(self, node: onnx.NodeProto) -> Iterator[str]:
        if len(node.input) > 2 and node.input[2] in self._constants:
            zero = self._constants[node.input[2]]
            if self._array(node.input[2]).any():
                yield "zero point that is not zero"
            kind = TensorProto.DataType.Name(zero.data_type)
            if node.op_type == "QuantizeLinear" and kind not in rules.TYPES["DequantizeLinear"]:
                yield f"gives {kind.lower()}"
        elif node.op_type == "QuantizeLinear" and len(node.input) < 3:
            yield "gives uint8"  # what it is without a zero point
        if node.input[1] in self._constants:
            scale = self._array(node.input[1])
            if not (np.isfinite(scale).all() and (scale > 0).all()):
                yield "scale that is not positive"

    def _array(self, name: str) -> NDArray[Any]:
        return numpy_helper.to_array(self._constants[name])


def _of_resize(attributes: dict[str, Any]) -> Iterator[str]:
    if attributes.get("antialias", 0):
        yield "antialias"
    for name, allowed in rules.RESIZE.items():
        value = attributes.get(name, allowed[0].encode()).decode()
        if name == "nearest_mode" and attributes.get("mode", b"nearest") != b"nearest":
            continue
        if value not in allowed:
            yield f"{name} {value}"


def _of_pooling(node: onnx.NodeProto, attributes: dict[str, Any]) -> Iterator[str]:
    if len(attributes.get("kernel_shape", ())) not in (2, 3):
        yield "not over two or three dimensions"
    if any(one != 1 for one in attributes.get("dilations", ())):
        yield "dilations"
    if node.op_type == "MaxPool" and any(node.output[1:]):
        yield "gives indices"
