"""What lies beside a TensorRT engine: all that is known of it, so that the engine stays pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cfcontra.checkpoint import file_sha256
from cfcontra.errors import InputError
from cfcontra.metadata import ModelMetadata

FORMAT = "cfcontra.engine"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class EngineKey:
    """What an engine was built from, by and for; another of any of them makes it stale.

    Attributes:
        graph_sha256: of the ONNX graph, see `graph_sha256`.
        tensorrt: version that built it.
        gpu: name of the GPU it was built on.
        batches: fewest, usual and most frames it takes at once.
        version_compatible: whether later versions of the same major TensorRT run it, too.
        hardware_compatible: whether other GPUs of Ampere's generation and later run it, too.
    """

    graph_sha256: str
    tensorrt: str
    gpu: str
    batches: tuple[int, int, int]
    version_compatible: bool = False
    hardware_compatible: bool = False

    def made_stale_by(self, other: EngineKey) -> bool:
        """Whether it is the same but for the machine: for TensorRT's version or the GPU."""
        return self != other == replace(self, tensorrt=other.tensorrt, gpu=other.gpu)

    def stale_on(self, tensorrt: str, gpu: str) -> str | None:
        """Why this version on this GPU cannot run it; None where it can."""
        if tensorrt != self.tensorrt:
            built, here = _numbers(self.tensorrt), _numbers(tensorrt)
            fits = self.version_compatible and here[:1] == built[:1] and here >= built
            if not fits:
                return f"it was built by TensorRT {self.tensorrt}, and {tensorrt} is installed"
        if gpu != self.gpu and not self.hardware_compatible:
            return f"it was built on {self.gpu}, and this is {gpu}"
        return None


@dataclass(frozen=True)
class Sidecar:
    """The content of `ENGINE.json`.

    Attributes:
        key: what the engine was built from.
        engine_sha256: of the engine's bytes.
        metadata: of the model.
    """

    key: EngineKey
    engine_sha256: str
    metadata: ModelMetadata

    def to_json(self) -> str:
        """The same text for the same content."""
        content = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "key": asdict(self.key),
            "engine_sha256": self.engine_sha256,
            "metadata": self.metadata.to_dict(),
        }
        return json.dumps(content, indent=2, sort_keys=True) + "\n"


def sidecar_path(engine: Path) -> Path:
    """Where an engine's sidecar lies."""
    return engine.with_name(f"{engine.name}.json")


def read_sidecar(engine: Path) -> Sidecar:
    """The sidecar of an engine whose bytes are those it was written for.

    Raises:
        InputError: no engine, no sidecar, a malformed one, or an engine that was changed.
    """
    if not engine.is_file():
        raise InputError(f"{engine}: no such file. Give an engine that cfcontra-export wrote.")
    path = sidecar_path(engine)
    if not path.is_file():
        raise InputError(
            f"{engine}: {path.name} is missing beside it, which says what it is. Copy both, or "
            "export it again with --format tensorrt."
        )
    try:
        data = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise InputError(f"{path}: not JSON ({error}).") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise InputError(f"{path}: not the sidecar of an engine of cfcontra's.")
    version = data.get("version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise InputError(
            f"{path}: format {version} is newer than {FORMAT_VERSION}. Update cfcontra."
        )
    sidecar = Sidecar(
        _key(data.get("key"), path),
        str(data.get("engine_sha256")),
        ModelMetadata.from_dict(data.get("metadata"), str(path)),
    )
    if sidecar.engine_sha256 != file_sha256(engine):
        raise InputError(
            f"{engine}: is not the engine that {path.name} was written for. Export it again."
        )
    return sidecar


def _key(data: Any, path: Path) -> EngineKey:
    try:
        fewest, usual, most = (int(count) for count in data["batches"])
        if not 1 <= fewest <= usual <= most:
            raise ValueError(f"batches {data['batches']}")
        return EngineKey(
            str(data["graph_sha256"]),
            str(data["tensorrt"]),
            str(data["gpu"]),
            (fewest, usual, most),
            bool(data["version_compatible"]),
            bool(data["hardware_compatible"]),
        )
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: malformed key ({error!r}).") from error


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdecimal()]
