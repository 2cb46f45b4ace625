"""Where an exported file departs from its checkpoint: stage by stage, and layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from cfcontra.datasets.base import Sample
from cfcontra.interface import ALWAYS
from cfcontra.runtime.exported import fed
from cfcontra.runtime.onnx_backend import NETWORK_PREFIX
from cfcontra.runtime.torch_backend import (
    TorchBackend,
    confidence_from_logits,
    letterbox,
    mask_from_logits,
)

from .agreement import cpu_session
from .graph import NETWORK_FEATURES, NETWORK_INPUT, NETWORK_OUTPUT

_TOLERANCES = {"fp32": 1e-3, "fp16": 0.02, "int8": 0.25}
_KEPT = (NETWORK_INPUT, NETWORK_OUTPUT, NETWORK_FEATURES)  # names without the prefix
_TOLD = 10
_AT_ONCE = 512 * 2**20  # bytes of the network's values


@dataclass(frozen=True)
class Departure:
    """How far one value of the file is from what it should be.

    Attributes:
        name, operator: of the layer; of a stage its name and ``.
        error: root mean square of the difference over that of the value; of masks the share of
            pixels that differ.
    """

    name: str
    operator: str
    error: float


@dataclass(frozen=True)
class Explanation:
    """Where a file departs on one frame.

    Attributes:
        stages: `frame → input`, `network`, `logits → mask` and `logits → confidence`, each given
            what the file itself had before.
        layers: of the network in its order, against the same network in float32.
        tolerance: error that the precision brings along.
    """

    stages: tuple[Departure, ...]
    layers: tuple[Departure, ...]
    tolerance: float

    def first(self) -> Departure | None:
        """The first layer beyond the tolerance."""
        return next((row for row in self.layers if not row.error <= self.tolerance), None)

    def sentence(self) -> str:
        """What to look at, in words."""
        found = [row for row in self.stages if not row.error <= _stage_limit(row, self.tolerance)]
        parts = [f"{row.name} departs by {row.error:.2g}" for row in found]
        first = self.first()
        if first is not None:
            jump, where = self._largest_jump()
            parts.append(
                f"the first layer beyond {self.tolerance:g} is {first.name} ({first.operator}, "
                f"{first.error:.2g}), the largest step {where.name} ({where.operator}, +{jump:.2g})"
            )
        return "; ".join(parts) or "every stage and layer stays within what its precision brings"

    def to_dict(self) -> dict[str, Any]:
        """Stages, and the layers that depart most."""
        worst = sorted(self.layers, key=lambda row: -row.error)[:_TOLD]
        return {
            "tolerance": self.tolerance,
            "stages": [asdict(row) for row in self.stages],
            "worst_layers": [asdict(row) for row in worst],
            "said": self.sentence(),
        }

    def _largest_jump(self) -> tuple[float, Departure]:
        before, found = 0.0, []
        for row in self.layers:
            found.append((row.error - before, row))
            before = row.error
        return max(found, key=lambda pair: pair[0])


def explain(
    reference: TorchBackend,
    file: onnx.ModelProto,
    network: onnx.ModelProto,
    sample: Sample,
    precision: str,
    threads: int | None = None,
) -> Explanation:
    """Run a file with all its values laid open, and compare them.

    Args:
        reference: the checkpoint.
        file: the exported file.
        network: its network in float32, as it was before the conversion.
        sample: a frame, of a size that the file takes.
        precision: of the file.
        threads: of the CPU, None for one per core.
    """
    metadata = reference.metadata
    batch = np.repeat(sample.image[None], metadata.interface.batch or 1, axis=0)
    given = {"frames": fed(batch, metadata)}
    values = _opened(file, [NETWORK_INPUT, NETWORK_OUTPUT, *ALWAYS], given, threads)
    expected_images = letterbox(torch.from_numpy(batch), metadata.preprocessing).contiguous()
    images = values[NETWORK_INPUT].astype(np.float32)
    with torch.inference_mode():
        expected = reference.network(torch.from_numpy(images)).float().numpy()
    stages = (
        Departure("frame → input", "", _error(images, expected_images.numpy())),
        Departure("network", "", _error(values[NETWORK_OUTPUT], expected)),
        *_tail(reference, values, sample),
    )
    layers = tuple(_layers(file, network, given, images, threads))
    return Explanation(stages, layers, _TOLERANCES[precision])


def _layers(
    file: onnx.ModelProto,
    network: onnx.ModelProto,
    given: dict[str, NDArray[Any]],
    images: NDArray[np.float32],
    threads: int | None,
) -> Iterator[Departure]:
    """Both are run again for every few layers: a large network's values do not fit at once."""
    made = {name for node in file.graph.node for name in node.output}
    for group in _groups(network, len(images)):
        names = [_seen_in_file(name, made) for name, _ in group]
        found = _opened(file, names, given, threads)
        should = _opened(network, [name for name, _ in group], {NETWORK_INPUT: images}, threads)
        for (name, operator), own in zip(group, names, strict=True):
            if own in found and name in should and np.issubdtype(should[name].dtype, np.floating):
                yield Departure(name, operator, _error(found[own], should[name]))


def _groups(network: onnx.ModelProto, batch: int) -> Iterator[list[tuple[str, str]]]:
    """Names and operators of layers, in order, so many as may be held at once."""
    typed = onnx.ModelProto()
    typed.CopyFrom(network)
    typed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    typed = onnx.shape_inference.infer_shapes(typed, data_prop=True)
    sizes = {
        value.name: 4 * math.prod(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in typed.graph.value_info
    }
    group: list[tuple[str, str]] = []
    held = 0
    for node in network.graph.node:
        name = node.output[0]
        held += sizes.get(name, 0)
        if group and held > _AT_ONCE:
            yield group
            group, held = [], sizes.get(name, 0)
        group.append((name, node.op_type))
    yield group


def _tail(
    reference: TorchBackend, values: dict[str, NDArray[Any]], sample: Sample
) -> Iterator[Departure]:
    """What the file makes of its own logits."""
    metadata = reference.metadata
    height, width = sample.image.shape[:2]
    shape = (
        metadata.preprocessing.work_size,
        metadata.preprocessing.scaled_size(height, width),
        metadata.interface.mask_size(height, width),
    )
    logits = torch.from_numpy(values[NETWORK_OUTPUT].astype(np.float32))
    mask = mask_from_logits(logits, *shape).numpy()
    yield Departure("logits → mask", "", float(np.mean(mask != values["mask"])))
    confidence = confidence_from_logits(logits, *shape).numpy()
    yield Departure("logits → confidence", "", _error(values["confidence"], confidence))


def _stage_limit(row: Departure, tolerance: float) -> float:
    return {"network": tolerance, "logits → confidence": 5e-3}.get(row.name, 1e-3)


def _seen_in_file(name: str, made: set[str]) -> str:
    """A layer's value as the next one sees it: quantising stands for many a Relu."""
    own = name if name in _KEPT else NETWORK_PREFIX + name
    quantised = f"{own}_DequantizeLinear_Output"
    return quantised if quantised in made else own


def _opened(
    file: onnx.ModelProto, names: list[str], given: dict[str, NDArray[Any]], threads: int | None
) -> dict[str, NDArray[Any]]:
    """The values of these names; those that the file does not have are left out."""
    copy = onnx.ModelProto()
    copy.CopyFrom(file)
    outputs = {output.name for output in copy.graph.output}
    made = {name for node in copy.graph.node for name in node.output}
    for name in dict.fromkeys(names):
        if name in made - outputs:
            copy.graph.output.add().name = name
    session = cpu_session(copy, threads, optimised=False)
    known = [name for name in dict.fromkeys(names) if name in made]
    return dict(zip(known, session.run(known, given), strict=True))


def _error(found: NDArray[Any], expected: NDArray[Any]) -> float:
    if found.shape != expected.shape:
        return float("inf")
    difference = found.astype(np.float64) - expected.astype(np.float64)
    scale = float(np.sqrt(np.mean(np.square(expected.astype(np.float64)))))
    return float(np.sqrt(np.mean(np.square(difference)))) / max(scale, 1e-12)
