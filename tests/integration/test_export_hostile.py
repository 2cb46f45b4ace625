"""Files that were changed or made to harm: refused in a line, without code run or memory taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from cfcontra.errors import InputError
from cfcontra.export.exporter import export_model
from cfcontra.metadata import METADATA_KEY
from cfcontra.runtime import open_backend

RUNTIMES = ("onnxruntime", "openvino")


@pytest.fixture(scope="module")
def honest(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("honest") / "model.onnx"
    export_model(model_file, path, certify_specs=["streets:noon,size=64x96"], certify_frames=1)
    return path


@pytest.fixture(params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param)
    return str(request.param)


def changed(honest: Path, folder: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    file = onnx.load(honest)
    change(file)
    path = folder / "changed.onnx"
    path.write_bytes(file.SerializeToString())
    return path


def _weight(file: onnx.ModelProto) -> None:
    weights = next(w for w in file.graph.initializer if len(w.dims) == 4)
    values = numpy_helper.to_array(weights).copy()
    values.flat[0] += np.float32(0.01)
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))


def test_a_weight_changed_after_certification(honest: Path, tmp_path: Path, runtime: str) -> None:
    path = changed(honest, tmp_path, _weight)
    with pytest.raises(InputError, match="changed after it was certified"):
        open_backend(path, "cpu", 1, runtime)


def test_written_again_without_change_it_is_still_certified(
    honest: Path, tmp_path: Path, runtime: str
) -> None:
    path = changed(honest, tmp_path, lambda file: None)
    assert open_backend(path, "cpu", 1, runtime).metadata.certificate["passed"]


def _metadata(change: Callable[[dict[str, Any]], None]) -> Callable[[onnx.ModelProto], None]:
    def apply(file: onnx.ModelProto) -> None:
        (entry,) = [entry for entry in file.metadata_props if entry.key == METADATA_KEY]
        content = json.loads(entry.value)
        change(content)
        entry.value = json.dumps(content)

    return apply


def _text(text: str) -> Callable[[onnx.ModelProto], None]:
    def apply(file: onnx.ModelProto) -> None:
        (entry,) = [entry for entry in file.metadata_props if entry.key == METADATA_KEY]
        entry.value = text

    return apply


def _weight_without_hash(file: onnx.ModelProto) -> None:
    _weight(file)
    _metadata(lambda c: c["certificate"].pop("graph_sha256"))(file)


def _external(file: onnx.ModelProto) -> None:
    weights = next(w for w in file.graph.initializer if len(w.dims) == 4)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "../../../../etc/passwd"


def _float_mask(file: onnx.ModelProto) -> None:
    """Without a certificate, which its hash would speak against."""
    _metadata(lambda c: c.update(certificate={}))(file)
    (made,) = [node for node in file.graph.node if "mask" in node.output]
    made.output[:] = [name.replace("mask", "bytes") for name in made.output]
    to_float = onnx.helper.make_node("Cast", ["bytes"], ["mask"], to=onnx.TensorProto.FLOAT)
    file.graph.node.append(to_float)
    file.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT


CRAFTED = {
    "nested a hundred thousand deep": _text("[" * 100_000),
    "not JSON": _text("{'a': 1}"),
    "a number of ten thousand digits": _text('{"version": ' + "9" * 10_000 + "}"),
    "a list": _text("[1, 2]"),
    "a newer version": _metadata(lambda c: c.update(version=99)),
    "no label space": _metadata(lambda c: c.pop("label_space")),
    "a label space of a word": _metadata(lambda c: c.update(label_space="cityscapes19")),
    "classes without colours": _metadata(lambda c: c["label_space"].update(colors=[])),
    "an infinite size": _metadata(lambda c: c["preprocessing"].update(work_size=[1e999, 5])),
    "a negative size": _metadata(lambda c: c["preprocessing"].update(work_size=[-4, 5])),
    "a size beyond any memory": _metadata(
        lambda c: c["preprocessing"].update(work_size=[10**9, 10**9])
    ),
    "a size of parts": _metadata(lambda c: c["preprocessing"].update(work_size=[64.5, 96])),
    "a size in letters": _metadata(lambda c: c["preprocessing"].update(work_size=["64", "96"])),
    "no number": _metadata(lambda c: c["preprocessing"].update(mean=[float("nan")] * 3)),
    "a certificate of no graph": _metadata(lambda c: c["certificate"].pop("graph_sha256")),
    "a weight changed, and no hash": _weight_without_hash,
    "a certificate of a number": _metadata(lambda c: c["certificate"].update(graph_sha256=1)),
    "a certificate of a word": _metadata(lambda c: c.update(certificate="passed")),
    "weights in another file": _external,
    "a batch it does not take": _metadata(lambda c: c["interface"].update(batch=4)),
    "a batch beyond any memory": _metadata(lambda c: c["interface"].update(batch=10**12)),
    "a size it does not take": _metadata(lambda c: c["interface"].update(size=[64, 96])),
    "a size of a word": _metadata(lambda c: c["interface"].update(size="all")),
    "outputs it does not give": _metadata(
        lambda c: c["interface"].update(outputs=["mask", "confidence", "probabilities"])
    ),
    "normalised input": _metadata(lambda c: c["interface"].update(embed_normalisation=False)),
    "a mask stride of nothing": _metadata(lambda c: c["interface"].update(mask_stride=0)),
    "a mask stride it does not have": _metadata(lambda c: c["interface"].update(mask_stride=8)),
    "masks of floats": _float_mask,
    "an interface of a list": _metadata(lambda c: c.update(interface=[1])),
}


@pytest.mark.parametrize("crafted", CRAFTED)
def test_crafted_files_are_refused(
    honest: Path, tmp_path: Path, runtime: str, crafted: str
) -> None:
    path = changed(honest, tmp_path, CRAFTED[crafted])
    with pytest.raises(InputError) as caught:
        open_backend(path, "cpu", 1, runtime)
    assert str(caught.value).count("\n") == 0
    assert len(str(caught.value)) < 1000
