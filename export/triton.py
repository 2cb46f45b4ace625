"""An exported model as a repository of NVIDIA's Triton Inference Server.

The layout and fields are those of Triton's model repository and model configuration
documentation; the file inside is the same certified ONNX.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx

from cfcontra.errors import InputError
from cfcontra.files import describe_os_error, prepare_output_folder
from cfcontra.metadata import ModelMetadata
from cfcontra.onnx_content import read_metadata
from cfcontra.onnx_ends import input_of, outputs_of
from cfcontra.runtime.tensorrt_sidecar import read_sidecar

from .certificate import Certificate

ENGINE = "model.plan"
"""What Triton calls an engine."""
_DELAY_US = 2000
_WARM_UP = (540, 960)


def default_name(checkpoint: Path) -> str:
    """What a model is called: `runs/dusk/model.pt` is `dusk`, `night.pt` is `night`."""
    name = checkpoint.resolve().parent.name if checkpoint.stem == "model" else checkpoint.stem
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-.") or "model"


def write_repository(
    repository: Path,
    name: str,
    export: Callable[[Path], Certificate],
    device: str,
    max_batch: int | None,
    overwrite: bool,
    engine: bool = False,
) -> Certificate:
    """Write `repository/name/` with `config.pbtxt` and the model in `1/`, whole or not at all.

    Args:
        export: writes the model file, and its certificate beside it, to the path it is given.
        device: `cpu` or `cuda`, the kind of device that Triton's instances run on.
        max_batch: frames that Triton may put into one call; None for a file of a fixed batch.
        engine: whether that file is a TensorRT engine, with its sidecar beside it.

    Raises:
        InputError: a bad name, something in the way, or a disk that refuses.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise InputError(f"--name {name}: use letters, digits, dots, dashes and underscores.")
    place = repository / name
    if place.exists() and not overwrite:
        raise InputError(f"{place}: exists already. Use --overwrite to replace it.")
    begun = repository.exists()
    prepare_output_folder(repository)
    token = secrets.token_hex(4)
    temporary, old = repository / f".{name}-{token}", repository / f".{name}-{token}-old"
    try:
        (temporary / "1").mkdir(parents=True)
        written = temporary / "1" / ("model.engine" if engine else "model.onnx")
        certificate = export(written)
        metadata = read_sidecar(written).metadata if engine else read_metadata(written)
        if engine:
            for path in [*written.parent.glob(f"{written.name}*")]:
                path.rename(path.with_name(ENGINE + path.name.removeprefix(written.name)))
        config = configuration(name, device, max_batch, metadata, engine)
        (temporary / "config.pbtxt").write_text(config, "utf-8")
        if place.exists():
            place.rename(old)
        temporary.rename(place)
    except OSError as error:
        raise InputError(describe_os_error(error, place)) from error
    finally:
        if old.exists() and not place.exists():
            old.rename(place)
        for leftover in (temporary, old):
            shutil.rmtree(leftover, ignore_errors=True)
        if not begun and not any(repository.iterdir()):
            repository.rmdir()
    return certificate


def configuration(
    name: str, device: str, max_batch: int | None, metadata: ModelMetadata, engine: bool = False
) -> str:
    """`config.pbtxt`: dynamic batching, one instance a device, warmed up before it is ready.

    Args:
        max_batch: frames that Triton may put into one call; None for a file of a fixed batch,
            which is called as it is.
        metadata: of the file, whose ends are told.
        engine: whether the file is a TensorRT engine.
    """
    kind = "KIND_CPU" if device == "cpu" else "KIND_GPU"
    backend = "tensorrt" if engine else "onnxruntime"
    first = 0 if max_batch is None else 1  # of the dimensions that are told
    interface = metadata.interface
    frames = input_of(interface)
    one = replace(interface, batch=interface.batch or 1, size=interface.size or _WARM_UP)
    outputs = outputs_of(interface, metadata.label_space.num_classes)
    ends = [("input", frames), *(("output", output) for output in outputs)]
    parts = [
        f'name: "{name}"',
        f'backend: "{backend}"',
        f"max_batch_size: {max_batch or 0}",
        *(_end(which, value, first) for which, value in ends),
        f"instance_group {{\n  count: 1\n  kind: {kind}\n}}",
    ]
    if max_batch is not None:
        parts.append(f"dynamic_batching {{\n  max_queue_delay_microseconds: {_DELAY_US}\n}}")
    parts.append(
        "model_warmup {\n"
        '  name: "one frame"\n'
        "  batch_size: 1\n"
        "  inputs {\n"
        '    key: "frames"\n'
        "    value {\n"
        f"      data_type: {_type(frames)}\n"
        f"      dims: {_list(_dims(input_of(one))[first:])}\n"
        "      zero_data: true\n"
        "    }\n"
        "  }\n"
        "}"
    )
    return "\n".join(parts) + "\n"


def _end(which: str, value: onnx.ValueInfoProto, first: int) -> str:
    return (
        f'{which} {{\n  name: "{value.name}"\n  data_type: {_type(value)}\n'
        f"  dims: {_list(_dims(value)[first:])}\n}}"
    )


def _type(value: onnx.ValueInfoProto) -> str:
    is_bytes = value.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    return "TYPE_UINT8" if is_bytes else "TYPE_FP32"


def _dims(value: onnx.ValueInfoProto) -> list[int]:
    return [dim.dim_value or -1 for dim in value.type.tensor_type.shape.dim]


def _list(dims: list[int]) -> str:
    return f"[ {', '.join(map(str, dims))} ]"
