"""The ends that the graph of an exported file has, by its interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cfcontra.interface import Interface

if TYPE_CHECKING:
    import onnx


def input_of(interface: Interface) -> onnx.ValueInfoProto:
    """The input `frames` of a file."""
    from onnx import TensorProto

    height, width = interface.size or ("H", "W")
    count = interface.batch or "N"
    if interface.embed_normalisation:
        return _value("frames", TensorProto.UINT8, count, height, width, 3)
    return _value("frames", TensorProto.FLOAT, count, 3, height, width)


def outputs_of(interface: Interface, classes: int) -> list[onnx.ValueInfoProto]:
    """The outputs of a file for so many classes.

    Sizes that depend on the frames have names, in which the mask's stride shows.
    """
    from onnx import TensorProto

    count = interface.batch or "N"
    strided = "" if interface.mask_stride == 1 else f"_by_{interface.mask_stride}"
    size = (
        interface.mask_size(*interface.size) if interface.size else ("H" + strided, "W" + strided)
    )
    known = {
        "mask": _value("mask", TensorProto.UINT8, count, *size),
        "confidence": _value("confidence", TensorProto.UINT8, count, *size),
        "frame_scores": _value("frame_scores", TensorProto.FLOAT, count, 3),
        "probabilities": _value("probabilities", TensorProto.FLOAT, count, classes, *size),
    }
    return [known[name] for name in interface.outputs]


def departing_end(graph: onnx.GraphProto, interface: Interface, classes: int) -> str | None:
    """The first end that a graph should have by its interface and has not, in words."""
    from onnx import TensorProto

    wanted = [input_of(interface), *outputs_of(interface, classes)]
    found = [*graph.input, *graph.output]
    if len(wanted) != len(found):
        return f"{len(wanted)} ends"
    for one, other in zip(wanted, found, strict=True):
        if _signature(one) != _signature(other):
            name, kind, dims = _signature(one)
            said = TensorProto.DataType.Name(kind).lower()
            return f"{name} {said} [{', '.join(map(str, dims))}]"
    return None


def _signature(value: onnx.ValueInfoProto) -> tuple[str, int, list[int | str]]:
    tensor = value.type.tensor_type
    dims = [dim.dim_value or dim.dim_param for dim in tensor.shape.dim]
    return value.name, tensor.elem_type, dims


def _value(name: str, kind: int, *shape: str | int) -> onnx.ValueInfoProto:
    from onnx import helper

    return helper.make_tensor_value_info(name, kind, shape)
