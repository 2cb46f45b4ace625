"""A data spec taken apart, as the kinds of data set are opened from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from cfcontra.config import nearest_hint
from cfcontra.errors import InputError
from cfcontra.label_space import LabelSpace


@dataclass(frozen=True)
class Request:
    """A spec taken apart. Openers take the options they know out of `options`.

    Attributes:
        kind, place: what stands before and behind the colon.
        options: settings not taken yet.
        label_space: the space samples are wanted in, if any.
        labelled: whether labels will be read.
    """

    kind: str
    place: str
    options: dict[str, str]
    label_space: LabelSpace | None
    labelled: bool

    @property
    def spec(self) -> str:
        return f"{self.kind}:{self.place}"

    def space(self) -> LabelSpace:
        """The label space asked for; an `InputError` where none is."""
        if self.label_space is None:
            raise InputError(f"{self.spec}: needs a label space to be read in.")
        return self.label_space

    def text(self, name: str, default: str) -> str:
        return self.options.pop(name, default)

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of some words; the first is the default."""
        text = self.text(name, choices[0])
        if text not in choices:
            raise InputError(
                f"{self.spec}: {name}={text} is not one of {', '.join(choices)}."
                f"{nearest_hint(text, choices)}"
            )
        return text

    def number(self, name: str, default: float) -> float:
        text = self.text(name, str(default))
        try:
            value = float(text)
        except ValueError as error:
            raise InputError(f"{self.spec}: {name}={text} is not a number.") from error
        if not math.isfinite(value):
            raise InputError(f"{self.spec}: {name}={text} is not a finite number.")
        return value

    def integer(self, name: str, default: int) -> int:
        value = self.number(name, default)
        if value != int(value) or value < 0:
            raise InputError(f"{self.spec}: {name}={value:g} is not a whole number ≥ 0.")
        return int(value)

    def folder(self, *inside: str) -> Path:
        """The place as a folder, or a folder in it; an `InputError` where there is none."""
        root = Path(self.place)
        path = root.joinpath(*inside)
        if path.is_dir():
            return path
        if not root.is_dir():
            what = "is not a folder" if root.exists() else "no such folder"
            raise InputError(f"{root}: {what}. Give the {self.kind} data set's own folder.")
        raise InputError(f"{path}: no such folder; {self.kind} data sets have one.")
