"""What TensorRT would refuse: a graph for each rule, broken and kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper, parser

from cfcontra.checkpoint import load_checkpoint
from cfcontra.export import exporter, int8
from cfcontra.export.cli import main
from cfcontra.export.int8 import Quantiser
from cfcontra.export.onnx_file import build_file, export_network
from cfcontra.export.tensorrt_check import tensorrt_refusals
from cfcontra.interface import OUTPUTS, Interface

PIXELS = "uint8[N, 3, 8, 8] x"
FLOATS = "float[N, 3, 8, 8] x"


def graph(ends: str, body: str, opset: int = 18, **constants: np.ndarray) -> onnx.ModelProto:  # type: ignore[type-arg]
    """`ends` is `INPUT => OUTPUT`; the last value of the body is `y`."""
    taken, given = ends.split(" => ")
    text = f'<ir_version: 8, opset_import: ["" : {opset}]> g ({taken}) => ({given}) {{ {body} }}'
    file = parser.parse_model(text)
    file.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in constants.items())
    return file


def kept(ends: str, body: str, **constants: np.ndarray) -> onnx.ModelProto:  # type: ignore[type-arg]
    return graph(ends, body, **constants)


SIZES = np.array([1, 3, 16, 16])
RESIZED = f"{FLOATS} => float[N, 3, 16, 16] y"
SAME = f"{FLOATS} => float[N, 3, 8, 8] y"
SCALE, ZERO = np.float32(0.1), np.int8(0)


def resize(attributes: str) -> onnx.ModelProto:
    return graph(RESIZED, f"y = Resize<{attributes}>(x, , , sizes)", sizes=SIZES)


def quantised(
    zero: np.generic = ZERO, scale: np.generic = SCALE, data: str = "q"
) -> onnx.ModelProto:
    body = f"q = QuantizeLinear(x, s, z) y = DequantizeLinear({data}, s, z)"
    constants = {"s": np.asarray(scale), "z": np.asarray(zero)}
    return graph(SAME, body, **constants)


def unknown_domain() -> onnx.ModelProto:
    file = graph(SAME, "y = Relu(x)")
    file.graph.node[0].domain = "com.microsoft"
    file.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return file


BIAS = np.zeros(3, np.int32)

BROKEN = {
    "works on uint8": graph(
        f"{PIXELS} => uint8[N, 8, 8, 3] y", "y = Transpose<perm=[0, 2, 3, 1]>(x)"
    ),
    "turns int64 into uint8": graph(
        f"{FLOATS} => uint8[N, 8, 8] y", "i = ArgMax<axis=1, keepdims=0>(x) y = Cast<to=2>(i)"
    ),
    "turns uint8 into int32": graph(f"{PIXELS} => int32[N, 3, 8, 8] y", "y = Cast<to=6>(x)"),
    "gives uint8, which only": graph(SAME, "b = Cast<to=2>(x) y = Cast<to=1>(b)"),
    "antialias": resize('mode="linear", antialias=1'),
    "mode cubic": resize('mode="cubic"'),
    "tf_crop_and_resize": graph(
        RESIZED,
        'y = Resize<mode="linear", coordinate_transformation_mode="tf_crop_and_resize">'
        "(x, roi, , sizes)",
        sizes=SIZES,
        roi=np.zeros(8, np.float32),
    ),
    "keep_aspect_ratio_policy not_larger": graph(
        RESIZED,
        'y = Resize<mode="linear", axes=[2, 3], keep_aspect_ratio_policy="not_larger">'
        "(x, , , sizes)",
        sizes=SIZES[2:],
    ),
    "zero point that is not zero": quantised(np.int8(3)),
    "works on uint8 ": quantised(np.uint8(0)),
    "gives uint8": quantised(np.uint8(0)),
    "scale that is not positive": quantised(scale=np.float32(0)),
    "works on int32": graph(
        "float[N, 3] x => float[N, 3] y",
        "d = DequantizeLinear(b, s) y = Add(x, d)",
        b=BIAS,
        s=np.asarray(SCALE),
    ),
    "works on double": graph("double[N, 3] x => double[N, 3] y", "y = Tanh(x)"),
    "works on int64": graph("int64[N, 3] x => int64[N, 3] y", "y = Clip(x)"),
    "must be a constant": graph(
        "float[N, 3] x, int64[1] a => float y", "y = ReduceSum<keepdims=0>(x, a)"
    ),
    "operator that is not taken": graph(
        "float[N, 3] x => float[M] y", "y = Compress(x, c)", c=np.ones(3, bool)
    ),
    "domain 'com.microsoft'": unknown_domain(),
    "opset 8": graph(SAME, "y = Relu(x)", opset=8),
    "gives indices": graph(
        f"{FLOATS} => float[N, 3, 4, 4] y", "y, i = MaxPool<kernel_shape=[2, 2], strides=[2, 2]>(x)"
    ),
    "dilations": graph(
        f"{FLOATS} => float[N, 3, 6, 6] y", "y = MaxPool<kernel_shape=[2, 2], dilations=[2, 2]>(x)"
    ),
    "not over two or three": graph(
        "float[N, 3, 8] x => float[N, 3, 7] y", "y = MaxPool<kernel_shape=[2]>(x)"
    ),
    "more than its first output": graph(
        "float[N, 8] x => float[N, 8] y",
        "y, m = LayerNormalization(x, s)",
        s=np.ones(8, np.float32),
    ),
    "not sorted": graph(
        "float[N, 8] x => float[N, 2] y", "y, i = TopK<sorted=0>(x, k)", k=np.array([2])
    ),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_each_broken_rule_is_named(reason: str) -> None:
    found = [str(refusal) for refusal in tensorrt_refusals(BROKEN[reason])]
    assert any(reason.strip() in text for text in found), found


KEPT = {
    "bytes at the ends": kept(
        "uint8[N, 3, 8, 8] x => uint8[N, 8, 8] y",
        "f = Cast<to=1>(x) b = ArgMax<axis=1, keepdims=0>(f) g = Cast<to=1>(b) y = Cast<to=2>(g)",
    ),
    "linear": resize('mode="linear", coordinate_transformation_mode="half_pixel"'),
    "nearest": resize(
        'mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric"'
    ),
    "symmetric int8": quantised(),
    "sizes in int64": kept(
        "float[N, 3, 8, 8] x => float[N, 192] y",
        "n = Shape<end=1>(x) s = Concat<axis=0>(n, c) y = Reshape(x, s)",
        c=np.array([192]),
    ),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_taken_is_not_refused(name: str) -> None:
    onnx.checker.check_model(KEPT[name], full_check=True)
    assert tensorrt_refusals(KEPT[name]) == []


@pytest.fixture(scope="module")
def network(model_file: Path) -> onnx.ModelProto:
    return export_network(load_checkpoint(model_file).model, (64, 96), features=True)


@pytest.mark.parametrize("size", [None, (90, 161)])
@pytest.mark.parametrize("stride", [1, 2])
def test_files_for_tensorrt_are_taken_and_the_usual_ones_are_not(
    model_file: Path, network: onnx.ModelProto, size: tuple[int, int] | None, stride: int
) -> None:
    from dataclasses import replace

    metadata = load_checkpoint(model_file).metadata
    interface = Interface(OUTPUTS, size=size, mask_stride=stride)
    described = replace(metadata, interface=interface)
    prototypes = torch.eye(96)[:11]
    usual, taken = (build_file(network, described, prototypes, ends) for ends in (False, True))
    assert tensorrt_refusals(taken) == []
    assert {refusal.reason for refusal in tensorrt_refusals(usual)} == {
        "works on uint8",
        "turns int64 into uint8",
    }


def test_int8_activations_are_taken_and_uint8_ones_are_not(
    model_file: Path, network: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "METHODS", ("minmax",))
    metadata = load_checkpoint(model_file).metadata
    plain = onnx.ModelProto()
    plain.CopyFrom(network)
    del plain.graph.output[1:]
    image = [np.random.default_rng(0).normal(size=(1, 3, 64, 96)).astype(np.float32)]
    for activations, refused in (("int8", False), ("uint8", True)):
        made = Quantiser(plain, image, activations, 1).reach(0.0).network  # type: ignore[arg-type]
        found = tensorrt_refusals(build_file(made, metadata, bytes_at_ends=True))
        assert bool(found) == refused
        assert len([node for node in made.graph.node if node.op_type == "QuantizeLinear"]) > 5


def test_the_command_checks(
    model_file: Path,
    tmp_path: Path,
    network: onnx.ModelProto,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    plain = onnx.ModelProto()
    plain.CopyFrom(network)
    del plain.graph.output[1:]
    monkeypatch.setattr(exporter, "export_network", lambda *given: plain)
    output = tmp_path / "out.onnx"
    command = [
        *(str(model_file), "--output", str(output), "--overwrite", "--threads", "1"),
        *("--certify", "streets:noon,size=64x96", "--certify-frames", "1"),
    ]
    assert main(command) == 0
    assert "would refuse" in capsys.readouterr().out
    assert main([*command, "--check", "tensorrt"]) == 0
    assert "takes it, by its documented rules" in capsys.readouterr().out
    assert tensorrt_refusals(onnx.load(output)) == []
    before = output.read_bytes()
    plain.graph.node[1].domain = "com.example"
    plain.opset_import.append(helper.make_opsetid("com.example", 1))
    monkeypatch.setattr(exporter, "build_file", lambda network, *more: network)
    assert main([*command, "--check", "tensorrt"]) == 3
    assert "TensorRT would refuse it" in capsys.readouterr().err
    assert output.read_bytes() == before


def test_types_are_onnx_types() -> None:
    from cfcontra.export.tensorrt_rules import TYPES

    known = set(TensorProto.DataType.keys())
    assert all(types <= known for types in TYPES.values())
    schemas = {schema.name for schema in onnx.defs.get_all_schemas()}
    assert set(TYPES) <= schemas
