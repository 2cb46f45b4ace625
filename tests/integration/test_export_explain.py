"""`cfcontra-export --explain` names where a file departs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from cfcontra.export import explain, exporter, graph, graph_parts
from cfcontra.export.cli import main
from cfcontra.export.precisions import Converted

Export = Callable[..., int]


@pytest.fixture
def export(model_file: Path, network_once: None, tmp_path: Path) -> Export:
    def run(*more: str) -> int:
        given = ("--certify", "streets:noon,size=64x96", "--certify-frames", "1", "--threads", "1")
        output = ("--output", str(tmp_path / "out.onnx"))
        return main([str(model_file), *output, *given, "--explain", *more])

    return run


def test_a_good_file_departs_nowhere(
    export: Export,
    network: onnx.ModelProto,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[int | None] = []

    def cpu_session(model: onnx.ModelProto, threads: int | None, optimised: bool) -> Any:
        opened.append(threads)
        return honest(model, threads, optimised)

    def values_of(*given: Any) -> dict[str, Any]:
        found = honest_values(*given)
        held.append([value.nbytes for value in found.values()])
        return found

    honest, honest_values = explain.cpu_session, explain._opened
    held: list[list[int]] = []
    monkeypatch.setattr(explain, "_AT_ONCE", 200_000)
    monkeypatch.setattr(explain, "cpu_session", cpu_session)
    monkeypatch.setattr(explain, "_opened", values_of)
    assert export() == 0
    assert set(opened) == {1}  # of --threads
    _, *groups = held  # of the stages first
    assert all(sum(group) <= 200_000 or len(group) == 1 for group in groups)
    assert len(groups) > 4 and sum(map(len, groups)) == 2 * len(network.graph.node)
    assert "every stage and layer stays within" in capsys.readouterr().out
    certificate = json.loads((tmp_path / "out.onnx.certificate.json").read_text())
    explanation = certificate["explanation"]
    assert len(explanation["stages"]) == 4 and len(explanation["worst_layers"]) == 10
    assert all(
        row["error"] < 1e-3 for row in (*explanation["stages"], *explanation["worst_layers"])
    )


def test_what_is_seen_of_a_file_whose_sizes_are_all_fixed(
    export: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export("--size", "64x96", "--batch", "2") == 0  # its working size: nothing to pad
    assert "every stage and layer stays within" in capsys.readouterr().out
    certificate = json.loads((tmp_path / "out.onnx.certificate.json").read_text())
    assert len(certificate["explanation"]["stages"]) == 4


def test_a_relu_that_quantising_stands_for_departs_from_nothing(
    export: Export, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--calibrate", "streets:noon,size=64x96", "--calibrate-frames", "1")
    assert export("--precision", "int8", *given) == 0
    assert "every stage and layer stays within" in capsys.readouterr().out


def _wrong_mean(patch: pytest.MonkeyPatch) -> None:
    honest = graph._constants

    def constants(*arguments: Any) -> dict[str, Any]:
        values = honest(*arguments)
        return {**values, "mean": values["mean"] + np.float32(0.05)}

    patch.setattr(graph, "_constants", constants)


def _part(name: str, old: str, new: str) -> Callable[[pytest.MonkeyPatch], None]:
    text = getattr(graph_parts, name)
    assert old in text
    return lambda patch: patch.setattr(graph_parts, name, text.replace(old, new))


@pytest.mark.parametrize(
    ("plant", "said", "not_said"),
    [
        (_wrong_mean, "frame → input departs", "logits →"),
        (_part("MASK", "half_pixel", "align_corners"), "logits → mask departs", "input departs"),
        (
            _part("CONFIDENCE", "Reciprocal(partition)", "Sqrt(partition)"),
            "logits → confidence departs",
            "mask departs",
        ),
    ],
)
def test_the_stage_is_named(
    export: Export,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    plant: Callable[[pytest.MonkeyPatch], None],
    said: str,
    not_said: str,
) -> None:
    plant(monkeypatch)
    assert export() == 3
    error = capsys.readouterr().err
    assert said in error and not_said not in error and "first layer" not in error


def test_the_layer_is_named(
    export: Export,
    network: onnx.ModelProto,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    convolutions = [node for node in network.graph.node if node.op_type == "Conv"]
    broken = convolutions[5]

    def conversions(plain: onnx.ModelProto, *more: object) -> Iterator[Converted]:
        made = onnx.ModelProto()
        made.CopyFrom(plain)
        for weights in made.graph.initializer:
            if weights.name == broken.input[1]:
                wrong = numpy_helper.to_array(weights) * np.float32(1.5)
                weights.CopyFrom(numpy_helper.from_array(wrong, weights.name))
        yield Converted(made)

    monkeypatch.setattr(exporter, "conversions", conversions)
    assert export() == 3
    error = capsys.readouterr().err
    assert f"first layer beyond 0.001 is {broken.output[0]} (Conv" in error
    assert "network departs" in error and "frame → input" not in error
