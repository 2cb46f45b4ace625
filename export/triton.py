"""An exported model as a repository of NVIDIA's Triton Inference Server.

The layout and fields are those of Triton's model repository and model configuration
documentation; the file inside is the same certified ONNX.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from cfcontra.errors import InputError
from cfcontra.files import describe_os_error, prepare_output_folder

from .certificate import Certificate

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
    max_batch: int,
    overwrite: bool,
) -> Certificate:
    """Write `repository/name/` with `config.pbtxt` and `1/model.onnx`, whole or not at all.

    Args:
        export: writes the ONNX file, and its certificate beside it, to the path it is given.
        device: `cpu`, or the kind of device that Triton's instances run on.
        max_batch: frames that Triton may put into one call.

    Raises:
        InputError: a bad name or batch, something in the way, or a disk that refuses.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise InputError(f"--name {name}: use letters, digits, dots, dashes and underscores.")
    if max_batch < 1:
        raise InputError(f"--max-batch {max_batch}: give 1 or more.")
    place = repository / name
    if place.exists() and not overwrite:
        raise InputError(f"{place}: exists already. Use --overwrite to replace it.")
    prepare_output_folder(repository)
    token = secrets.token_hex(4)
    temporary, old = repository / f".{name}-{token}", repository / f".{name}-{token}-old"
    try:
        (temporary / "1").mkdir(parents=True)
        certificate = export(temporary / "1" / "model.onnx")
        config = configuration(name, device, max_batch)
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
    return certificate


def configuration(name: str, device: str, max_batch: int) -> str:
    """`config.pbtxt`: dynamic batching, one instance a device, warmed up before it is ready."""
    kind = "KIND_CPU" if device == "cpu" else "KIND_GPU"
    height, width = _WARM_UP
    return f"""name: "{name}"
backend: "onnxruntime"
max_batch_size: {max_batch}
input {{
  name: "frames"
  data_type: TYPE_UINT8
  dims: [ -1, -1, 3 ]
}}
output {{
  name: "mask"
  data_type: TYPE_UINT8
  dims: [ -1, -1 ]
}}
output {{
  name: "confidence"
  data_type: TYPE_UINT8
  dims: [ -1, -1 ]
}}
instance_group {{
  count: 1
  kind: {kind}
}}
dynamic_batching {{
  max_queue_delay_microseconds: {_DELAY_US}
}}
model_warmup {{
  name: "one frame"
  batch_size: 1
  inputs {{
    key: "frames"
    value {{
      data_type: TYPE_UINT8
      dims: [ {height}, {width}, 3 ]
      zero_data: true
    }}
  }}
}}
"""
