"""Networks in fp16 and int8, against numpy and against the network they were made from."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from torch import nn

from cfcontra.export import int8, precisions
from cfcontra.export.agreement import Runner, agreement, most_likely
from cfcontra.export.float16 import ever_more_in_float, overflowing, to_float16
from cfcontra.export.int8 import Quantiser
from cfcontra.export.onnx_file import export_network
from cfcontra.export.precisions import conversions
from cfcontra.export.tensor_ranges import tensor_ranges
from cfcontra.onnx_content import serialise

SIZE = (24, 32)


class Small(nn.Sequential):
    """Three convolutions; `outlier` makes one channel of the second too large for its range."""

    def __init__(self, outlier: float = 1.0) -> None:
        torch.manual_seed(0)
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 5, 1),
        )
        first, second, last = self[0], self[2], self[4]
        assert isinstance(first, nn.Conv2d) and isinstance(second, nn.Conv2d)
        assert isinstance(last, nn.Conv2d)
        with torch.no_grad():
            first.weight *= 3
            second.weight *= 3
            last.weight *= 4
            second.weight[0].abs_().mul_(outlier)
            last.weight[:, 0] /= outlier


def images(count: int = 4) -> list[NDArray[np.float32]]:
    generator = torch.Generator().manual_seed(1)
    coarse = torch.randn(count, 1, 3, 6, 8, generator=generator)
    return [nn.functional.interpolate(one, size=SIZE, mode="bilinear").numpy() for one in coarse]


def network(outlier: float = 1.0) -> onnx.ModelProto:
    return export_network(Small(outlier), SIZE)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def plain() -> onnx.ModelProto:
    return network()


def expected(of: onnx.ModelProto) -> list[NDArray[np.uint8]]:
    return [most_likely(logits) for logits in Runner(of, 1).run(images())]


def kinds(of: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in of.graph.node}


def test_ranges_against_torch(plain: onnx.ModelProto) -> None:
    ranges = tensor_ranges(plain, images(), 1)
    layers = [*Small().eval()]
    with torch.no_grad():
        stages = [
            nn.Sequential(*layers[: i + 1])(torch.from_numpy(np.concatenate(images())))
            for i in range(5)
        ]
    convolutions = [n.output[0] for n in plain.graph.node if n.op_type in ("Conv", "Relu")]
    assert len(convolutions) == 5
    for name, stage in zip(convolutions, stages, strict=True):
        assert ranges[name] == pytest.approx((float(stage.min()), float(stage.max())), abs=1e-4)


def test_agreement_counts_pixels(plain: onnx.ModelProto) -> None:
    right = expected(plain)
    assert agreement(plain, images(), right, 1) == 1.0
    wrong = [classes.copy() for classes in right]
    wrong[0][0, 0, :4] += 1
    assert agreement(plain, images(), wrong, 1) == 1 - 4 / (4 * SIZE[0] * SIZE[1])


def test_fp16_holds_half_the_bytes_and_agrees(plain: onnx.ModelProto) -> None:
    assert overflowing(plain, images()) == set()
    halved = to_float16(plain, ())
    weights = [w for w in halved.graph.initializer if len(w.dims) == 4]
    assert len(weights) == 3
    assert all(weight.data_type == TensorProto.FLOAT16 for weight in weights)
    assert halved.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    onnx.checker.check_model(halved, full_check=True)
    assert agreement(halved, images(), expected(plain), 1) >= 0.99


def test_what_overflows_stays_in_float() -> None:
    large = network(outlier=1e5)
    kept = overflowing(large, images())
    convolutions = [node.name for node in large.graph.node if node.op_type == "Conv"]
    assert convolutions[1] in kept and convolutions[2] in kept
    assert convolutions[0] not in kept
    assert agreement(to_float16(large, kept), images(), expected(large), 1) >= 0.99
    naive = to_float16(large, overflowing(large, [images()[0] * 0]))
    found = next(Runner(naive, 1).run(images()))
    assert not np.isfinite(found).all() or agreement(naive, images(), expected(large)) < 1


def test_a_tensor_that_several_operators_read_in_float_has_one_way_there() -> None:
    """As in a residual block; the file would not load with two operators of one name."""

    class Residual(Small):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            first = self[1](self[0](values))
            return self[4](self[3](self[2](first)) + first)

    residual = export_network(Residual(), SIZE)  # type: ignore[arg-type]
    _, *others = [node.name for node in residual.graph.node if node.op_type != "Relu"]
    halved = to_float16(residual, others)
    onnx.checker.check_model(halved, full_check=True)
    assert agreement(halved, images(), expected(residual), 1) >= 0.99


def test_fp16_keeps_ever_more_of_the_beginning_in_float() -> None:
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, 8, 3, padding=1), nn.Tanh()]
    for _ in range(8):
        layers += [nn.Conv2d(8, 8, 3, padding=1), nn.Tanh()]
    deep = export_network(nn.Sequential(*layers, nn.Conv2d(8, 5, 1)), SIZE)  # type: ignore[arg-type]
    names = [node.name for node in deep.graph.node]
    assert [*ever_more_in_float(deep, {names[-1]})] == [
        [*names[:count], names[-1]] for count in (0, 4, 8)
    ]
    tried = [*conversions(deep, "fp16", images(1), "uint8", 1, lambda _: None)]
    assert [made.record["float_layers"] for made in tried] == [names[:n] for n in (0, 4, 8)]
    for made in tried:
        weights = [w for w in made.network.graph.initializer if len(w.dims) == 4]
        in_float = sum(weight.data_type == TensorProto.FLOAT for weight in weights)
        assert in_float == len(made.record["float_layers"]) // 2
        assert agreement(made.network, images(), expected(deep), 1) >= 0.99


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_no_more_threads_run_than_were_asked_for(
    plain: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    ran: list[int] = []

    class Session(onnxruntime.InferenceSession):  # type: ignore[misc]
        def run(self, *given: Any) -> Any:
            ran.append(self.get_session_options().intra_op_num_threads)
            return super().run(*given)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    next(conversions(plain, precision, images(1), "uint8", 1, lambda _: None))
    assert set(ran) == {1}


@pytest.mark.parametrize("activations", ["uint8", "int8"])
def test_int8_agrees(plain: onnx.ModelProto, activations: int8.Activations) -> None:
    made = Quantiser(plain, images(), activations, 1).reach(0.9)
    assert made.kept == () and made.agreement >= 0.9
    assert made.method in int8.METHODS
    assert made.agreement == agreement(made.network, images(), expected(plain), 1)
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds(made.network)
    assert {opset.domain for opset in made.network.opset_import} == {""}
    onnx.checker.check_model(made.network, full_check=True)
    constants = {w.name: numpy_helper.to_array(w) for w in made.network.graph.initializer}
    weights = [array for array in constants.values() if array.ndim == 4]
    assert len(weights) == 3 and all(array.dtype == np.int8 for array in weights)
    for node in made.network.graph.node:
        if node.op_type == "QuantizeLinear":
            assert constants[node.input[2]].dtype == np.dtype(activations)
        if "Linear" in node.op_type and (activations == "int8" or constants_of(node, constants)):
            assert not constants[node.input[2]].any()  # symmetric


def constants_of(node: onnx.NodeProto, constants: dict[str, NDArray[np.generic]]) -> bool:
    """Whether what is dequantised are weights."""
    return node.input[0] in constants


def test_weights_are_quantised_per_channel(plain: onnx.ModelProto) -> None:
    made = Quantiser(plain, images(), "int8", 1).reach(0.0)
    constants = {w.name: numpy_helper.to_array(w) for w in made.network.graph.initializer}
    floats = [numpy_helper.to_array(w) for w in plain.graph.initializer]
    wanted = [array for array in floats if array.ndim == 4]
    dequantised = [
        node
        for node in made.network.graph.node
        if node.op_type == "DequantizeLinear"
        and constants.get(node.input[0], np.zeros(1)).ndim == 4
    ]
    assert len(dequantised) == 3
    for node, weights in itertools.product(dequantised, wanted):
        stored, scale = constants[node.input[0]], constants[node.input[1]]
        if stored.shape == weights.shape:
            found = stored * scale.reshape(-1, 1, 1, 1)
            assert scale.shape == (len(stored),)
            near = np.abs(found - weights) <= scale.reshape(-1, 1, 1, 1) * 0.51
            if near.all():
                break
    else:
        pytest.fail("no weights were found again")


def test_a_layer_that_costs_too_much_stays_in_float(monkeypatch: pytest.MonkeyPatch) -> None:
    sensitive = network(outlier=300.0)
    target = expected(sensitive)
    monkeypatch.setattr(int8, "METHODS", ("minmax",))
    everything = Quantiser(sensitive, images(), "uint8", 1).reach(0.0)
    assert everything.kept == () and everything.agreement < 0.9
    made = Quantiser(sensitive, images(), "uint8", 1).reach(0.97)
    assert made.agreement >= 0.97
    assert agreement(made.network, images(), target, 1) == made.agreement
    assert 0 < len(made.kept) < 3
    convolutions = [node.name for node in sensitive.graph.node if node.op_type == "Conv"]
    assert set(made.kept) <= set(convolutions)


def test_the_same_bytes_twice(plain: onnx.ModelProto) -> None:
    for convert in (
        lambda: to_float16(plain, ()),
        lambda: Quantiser(plain, images(), "uint8", 1).reach(0.0).network,
    ):
        assert serialise(convert()) == serialise(convert())


def test_later_tries_keep_more_in_float(monkeypatch: pytest.MonkeyPatch) -> None:
    sensitive = network(outlier=300.0)
    monkeypatch.setattr(int8, "METHODS", ("minmax",))
    monkeypatch.setattr(precisions, "_INT8_MARGINS", (-0.9, -0.01, -0.01, 0.02))
    tries = [
        made.record["float_layers"]
        for made in precisions.conversions(sensitive, "int8", images(), "uint8", 1, lambda _: None)
    ]
    assert tries[0] == []
    assert len(tries) == len({len(kept) for kept in tries}) > 1
    assert len(tries[-1]) == 2  # of three: a file without any would not be int8
    assert [len(kept) for kept in tries] == sorted(len(kept) for kept in tries)
