"""Dataclasses from plain data, strictly: unknown keys and wrong types are named.

Validation is pydantic's; this module turns its findings into one-line errors that
name the field, the place it came from and the nearest known name.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from cfcontra.errors import InputError

T = TypeVar("T")

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
"""Give a dataclass `__pydantic_config__ = STRICT`: unknown keys, inf and nan are errors."""


def nearest_hint(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?`, or nothing where no known name is near."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{matches[0]}'?" if matches else ""


def build(cls: type[T], data: Mapping[str, Any], where: str) -> T:
    """Build the dataclass `cls` from nested mappings.

    Args:
        cls: a dataclass; nested dataclasses are built from nested mappings.
        data: plain data, as read from YAML or the command line.
        where: what the data is, for messages (`recipe 'paper'`).

    Raises:
        InputError: an unknown field, a wrong type, or a value out of range.
    """
    try:
        return TypeAdapter(cls).validate_python(dict(data))
    except ValidationError as error:
        raise InputError(f"{where}: {_first_finding(cls, error)}") from error


def _first_finding(cls: type[Any], error: ValidationError) -> str:
    findings = error.errors(include_url=False)
    unknown = [item for item in findings if item["type"] == "unexpected_keyword_argument"]
    finding = (unknown or findings)[0]
    name = ".".join(str(part) for part in finding["loc"])
    if finding["type"] == "unexpected_keyword_argument":
        return f"unknown field '{name}'.{nearest_hint(name, field_names(cls))}"
    reason = str(finding["msg"]).removeprefix("Value error, ")
    return f"{name}: {reason} (given: {finding.get('input')!r})." if name else f"{reason}."


def field_names(cls: type[Any], prefix: str = "") -> list[str]:
    """Dotted names of all leaf fields of a nested dataclass."""
    names: list[str] = []
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        inner = hints[field.name]
        dotted = f"{prefix}{field.name}"
        if isinstance(inner, type) and dataclasses.is_dataclass(inner):
            names += field_names(inner, f"{dotted}.")
        else:
            names.append(dotted)
    return names


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds one mapping.

    Raises:
        InputError: unreadable, not YAML, or not a mapping.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}).") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML ({error}).") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise InputError(f"{path}: expected `field: value` lines, found a {type(data).__name__}.")
    return data


def merge(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the fields of `override` on top, nested mappings merged."""
    merged = dict(base)
    for key, value in override.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted name → value of every leaf of a nested mapping."""
    flat: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def from_dotted(pairs: Mapping[str, str]) -> dict[str, Any]:
    """Nested mapping from `{"optimizer.lr": "0.1"}`; values are read as YAML scalars."""
    nested: dict[str, Any] = {}
    for dotted, text in pairs.items():
        level = nested
        *parents, leaf = dotted.split(".")
        for parent in parents:
            level = level.setdefault(parent, {})
        level[leaf] = _scalar(text)
    return nested


def _scalar(text: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    if isinstance(value, str):  # YAML 1.1 reads 1e-4 as text
        try:
            return float(value)
        except ValueError:
            return value
    return value
