"""Every field of a recipe as text, from the dataclasses and their docstrings."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from .recipe import Recipe, StageName

_BOUNDS = {"gt": "> {}", "ge": "≥ {}", "lt": "< {}", "le": "≤ {}"}
_KINDS = {int: "whole number", float: "number", str: "text", bool: "true or false"}


@dataclass(frozen=True)
class SettingHelp:
    """A field of a recipe.

    Attributes:
        name: as on the command line.
        value: in the recipe.
        kind: what values it takes.
        about: its line in the dataclass's docstring.
    """

    name: str
    value: Any
    kind: str
    about: str


def settings_help(recipe: Recipe, stage: StageName) -> list[SettingHelp]:
    """The fields that a stage's command takes, with the values of a recipe."""
    other = {"train": "adapt", "adapt": "train"}[stage]
    return [
        dataclasses.replace(entry, name=entry.name.removeprefix(f"{stage}."))
        for entry in _fields(recipe, "")
        if not entry.name.startswith(f"{other}.")
    ]


def as_text(entries: list[SettingHelp]) -> str:
    """A field in two or three lines each."""
    return "\n".join(
        f"--{entry.name} {_shown(entry.value)}\n    {entry.kind}\n    {entry.about}"
        for entry in entries
    ).replace("None", "null")


def _fields(settings: Any, prefix: str) -> Iterator[SettingHelp]:
    lines = attribute_lines(type(settings))
    hints = get_type_hints(type(settings), include_extras=True)
    for field in dataclasses.fields(settings):
        value, name = getattr(settings, field.name), f"{prefix}{field.name}"
        if dataclasses.is_dataclass(value):
            yield from _fields(value, f"{name}.")
        else:
            kind = describe_type(hints[field.name])
            yield SettingHelp(name, value, kind, lines.get(field.name, ""))


def attribute_lines(cls: type[Any]) -> dict[str, str]:
    """What a class's docstring says of each of its attributes, each in one line."""
    _, _, section = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")
    found: dict[str, str] = {}
    for entry in re.split(r"\n    (?=\S)", "\n" + section):
        names, colon, text = entry.partition(":")
        if colon:
            found |= {name.strip(): " ".join(text.split()) for name in names.split(",")}
    return found


def describe_type(hint: Any) -> str:
    """A field's type in words: `number, > 0`, `sgd | adamw`, `whole number, ≥ 1, or null`."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        found = [describe_type(inner[0])]
        for constraint in (part for info in inner[1:] for part in getattr(info, "metadata", ())):
            found += [
                text.format(getattr(constraint, name))
                for name, text in _BOUNDS.items()
                if hasattr(constraint, name)
            ]
        return ", ".join(found)
    if origin is Literal:
        return " | ".join(map(str, inner))
    if origin in (Union, UnionType):
        kinds = [describe_type(part) for part in inner if part is not NoneType]
        return ", or ".join([*kinds, "null"])
    if origin is tuple:
        return f"[{'; '.join(describe_type(part) for part in inner)}]"
    return _KINDS[hint]


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return f"'[{', '.join(map(str, value))}]'"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value) if value != "" else "''"
