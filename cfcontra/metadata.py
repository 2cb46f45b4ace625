"""What travels inside a model file, whatever its format: classes, preprocessing, record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cfcontra.errors import InputError
from cfcontra.interface import Interface
from cfcontra.label_space import LabelSpace
from cfcontra.preprocessing import Preprocessing

METADATA_KEY = "cfcontra"
METADATA_VERSION = 1


@dataclass(frozen=True)
class ModelMetadata:
    """The description that makes a model file usable on its own.

    Attributes:
        label_space: classes and colours of the mask's ids.
        preprocessing: working size and normalisation.
        model: architecture name and options.
        training: record of how the weights came about (method, data, steps, scores).
        checkpoint_sha256: hash of the `model.pt` it came from; empty in a checkpoint.
        certificate: summary of the export's certificate; empty in a checkpoint.
        interface: what the exported file takes and gives; the usual in a checkpoint.
    """

    label_space: LabelSpace
    preprocessing: Preprocessing
    model: dict[str, Any]
    training: dict[str, Any] = field(default_factory=dict)
    checkpoint_sha256: str = ""
    certificate: dict[str, Any] = field(default_factory=dict)
    interface: Interface = field(default_factory=Interface)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, JSON-serialisable."""
        return {
            "version": METADATA_VERSION,
            "label_space": self.label_space.to_dict(),
            "preprocessing": self.preprocessing.to_dict(),
            "model": self.model,
            "training": self.training,
            "checkpoint_sha256": self.checkpoint_sha256,
            "certificate": self.certificate,
            "interface": self.interface.to_dict(),
        }

    def to_json(self) -> str:
        """The same bytes for the same content."""
        return json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_dict(cls, data: Any, where: str) -> ModelMetadata:
        """Read what `to_dict` wrote.

        Raises:
            InputError: malformed, or written by a newer version of the format.
        """
        if not isinstance(data, dict) or not isinstance(data.get("version"), int):
            raise InputError(f"{where}: its cfcontra metadata is malformed. Export it again.")
        if data["version"] > METADATA_VERSION:
            raise InputError(
                f"{where}: metadata format {data['version']} is newer than this version of "
                f"cfcontra understands ({METADATA_VERSION}). Update cfcontra."
            )
        plain = {}
        for name, kind in (
            ("model", dict),
            ("training", dict),
            ("certificate", dict),
            ("checkpoint_sha256", str),
        ):
            plain[name] = data.get(name, kind())
            if not isinstance(plain[name], kind):
                raise InputError(f"{where}: metadata field '{name}' is malformed.")
        interface = data.get("interface")
        return cls(
            interface=Interface() if interface is None else Interface.from_dict(interface, where),
            label_space=LabelSpace.from_dict(data.get("label_space"), where),
            preprocessing=Preprocessing.from_dict(data.get("preprocessing"), where),
            **plain,
        )

    @classmethod
    def from_properties(cls, stored: Mapping[str, str], where: str) -> ModelMetadata:
        """Read the properties of an ONNX file.

        Raises:
            InputError: not a file of cfcontra's, or malformed.
        """
        if METADATA_KEY not in stored:
            raise InputError(
                f"{where}: an ONNX file without cfcontra metadata. Write it with cfcontra-export."
            )
        return cls.from_json(stored[METADATA_KEY], where)

    @classmethod
    def from_json(cls, text: str, where: str) -> ModelMetadata:
        """Read what `to_json` wrote.

        Raises:
            InputError: not JSON, or malformed.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: its cfcontra metadata is not JSON ({error}).") from error
        return cls.from_dict(data, where)
