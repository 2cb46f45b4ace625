"""A float network to int8: static Q/DQ, per channel, calibrated on real frames.

How well an int8 network answers as its float network does is measured, not assumed: the way of
calibration is the one that agrees best, and layers that cost too much stay in float.
"""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from .agreement import Runner, agreement, cpu_session, most_likely
from .graph import NETWORK_INPUT
from .tidy import tidy

Activations = Literal["uint8", "int8"]
Images = Sequence[NDArray[np.float32]]

METHODS = ("minmax", "percentile", "entropy")
_HEAVY = ("Conv", "ConvTranspose", "MatMul", "Gemm")
# What stands between heavy operators and changes no value passes on 8 bits; the rest stays float.
# A quantised residual sum gains next to nothing, and OpenVINO 2026.4 gets it wrong.
_QUANTISED = (
    *_HEAVY,
    *("Relu", "Clip", "Concat", "Resize", "MaxPool"),
    *("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "Gather"),
)


@dataclass(frozen=True)
class Quantised:
    """An int8 network.

    Attributes:
        network: with Q/DQ pairs.
        method: of calibration.
        kept: names of the layers that stay in float.
        agreement: share of equal classes among the logits' pixels, with the float network.
    """

    network: onnx.ModelProto
    method: str
    kept: tuple[str, ...]
    agreement: float


class Quantiser:
    """Quantises as much of a network as keeps its answers.

    Args:
        network: `images` float32 `[N, 3, h, w]` → `logits` float32 `[N, C, ·, ·]`.
        images: network inputs `[1, 3, h, w]` to calibrate and to measure on.
        activations: `uint8` with zero points is what CPUs multiply fastest; `int8` without is
            what TensorRT accepts. Weights are int8 without zero points either way.
        threads: CPU threads.
        progress: told about each step.
    """

    def __init__(
        self,
        network: onnx.ModelProto,
        images: Images,
        activations: Activations = "uint8",
        threads: int | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._network = onnx.shape_inference.infer_shapes(network)
        self._images, self._activations, self._threads = images, activations, threads
        self._progress = progress
        self._expected = [most_likely(logits) for logits in Runner(network, threads).run(images)]
        self._names = [node.name for node in network.graph.node if node.op_type in _HEAVY]
        self._ranked: list[str] | None = None
        best = -1.0
        for method in METHODS:
            progress(f"calibrating on {len(images)} frames, {method}")
            ranges = _ranges(self._network, images, method, activations, threads)
            found = self._agreement(ranges, ())
            if found > best:
                best, self.method, self._ranges = found, method, ranges
        self._found = {0: best}

    @property
    def layers(self) -> int:
        """How many layers there are to quantise."""
        return len(self._names)

    def reach(self, wanted: float) -> Quantised:
        """The network with as few layers in float as a share of agreement asks for."""
        if self._measured(0) >= wanted:
            return self._made(0)
        # By bisection: none is too few, and all are always enough.
        low, high = 0, self.layers
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._measured(middle) >= wanted else (middle, high)
        return self._made(high)

    def with_more_in_float(self, count: int) -> Quantised | None:
        """Half of the layers that were still int8 with `count` in float; None at the last one."""
        left = self.layers - count
        return self._made(count + (left + 1) // 2) if left > 1 else None

    def _made(self, count: int) -> Quantised:
        kept = tuple(self._by_damage()[:count]) if count else ()
        network = _quantised(self._network, self._ranges, self._activations, kept)
        return Quantised(network, self.method, kept, self._measured(count))

    def _measured(self, count: int) -> float:
        """Agreement with the `count` most damaging layers in float."""
        if count not in self._found:
            ranked = self._by_damage()
            self._progress(f"measuring with {count} of {len(ranked)} layers in float")
            self._found[count] = self._agreement(self._ranges, ranked[:count])
        return self._found[count]

    def _by_damage(self) -> list[str]:
        """Layers from the one that costs most when it alone is int8 to the one that costs least."""
        if self._ranked is None:
            names, damage = self._names, {}
            for number, name in enumerate(names):
                self._progress(f"measuring layer {number + 1} of {len(names)} alone")
                others = [other for other in names if other != name]
                damage[name] = self._agreement(self._ranges, others)
            self._ranked = sorted(names, key=lambda name: damage[name])
        return self._ranked

    def _agreement(self, ranges: Any, kept: Sequence[str]) -> float:
        made = _quantised(self._network, ranges, self._activations, kept)
        return agreement(made, self._images, self._expected, self._threads)


def _ranges(
    network: onnx.ModelProto,
    images: Images,
    method: str,
    activations: Activations,
    threads: int | None,
) -> Any:
    """Range of every tensor over the images."""
    from onnxruntime.quantization.calibrate import CalibrationMethod, create_calibrator

    kinds = {
        "minmax": CalibrationMethod.MinMax,
        "percentile": CalibrationMethod.Percentile,
        "entropy": CalibrationMethod.Entropy,
    }
    with _workplace(network) as (path, folder), _quiet():
        augmented = folder / "augmented.onnx"
        calibrator = create_calibrator(
            path,
            [*_QUANTISED],
            str(augmented),
            kinds[method],
            extra_options={"symmetric": activations == "int8"},
        )
        # Its own session takes every core, and cannot be told otherwise.
        calibrator.infer_session = cpu_session(onnx.load(augmented), threads, optimised=False)
        for image in images:  # one by one, so that only one frame's tensors are held
            calibrator.collect_data(_Reader(image))
        return calibrator.compute_data()


def _quantised(
    network: onnx.ModelProto, ranges: Any, activations: Activations, kept: Sequence[str]
) -> onnx.ModelProto:
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    copy = onnx.ModelProto()
    copy.CopyFrom(network)
    with _quiet():
        quantizer = QDQQuantizer(
            copy,
            per_channel=True,
            reduce_range=False,
            weight_qType=QuantType.QInt8,
            activation_qType=QuantType.QInt8 if activations == "int8" else QuantType.QUInt8,
            tensors_range=ranges,
            nodes_to_quantize=[],
            nodes_to_exclude=[*kept],
            op_types_to_quantize=[*_QUANTISED],
            extra_options={
                "ActivationSymmetric": activations == "int8",
                "WeightSymmetric": True,
                "QuantizeBias": False,  # TensorRT takes none; elsewhere it makes no difference
            },
        )
        quantizer.quantize_model()
    return tidy(quantizer.model.model)


class _Reader:
    """One image, as onnxruntime's calibrators read it."""

    def __init__(self, image: NDArray[np.float32]) -> None:
        self._left: list[dict[str, NDArray[np.float32]]] = [{NETWORK_INPUT: image}]

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return self._left.pop() if self._left else None


@contextmanager
def _workplace(network: onnx.ModelProto) -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory(prefix="cfcontra-") as name:
        folder = Path(name)
        path = folder / "network.onnx"
        path.write_bytes(network.SerializeToString())
        yield path, folder


@contextmanager
def _quiet() -> Iterator[None]:
    """Onnxruntime's tools warn and print of what is decided here."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
