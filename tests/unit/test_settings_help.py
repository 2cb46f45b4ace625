"""`--settings`: every field once, each with a line, as the dataclasses have it."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from cfcontra.config import field_names, flatten
from cfcontra.train import cli
from cfcontra.train.recipe import Recipe, StageName, load_recipe
from cfcontra.train.settings_help import attribute_lines, describe_type, settings_help


@pytest.mark.parametrize(("stage", "other"), [("train", "adapt"), ("adapt", "train")])
def test_every_field_has_its_line_type_and_value(stage: StageName, other: str) -> None:
    recipe = load_recipe("paper", stage, {"steps": "40"})
    entries = {entry.name: entry for entry in settings_help(recipe, stage)}
    names = [name for name in field_names(Recipe) if not name.startswith(f"{other}.")]
    assert [*entries] == [name.removeprefix(f"{stage}.") for name in names]
    assert not [name for name, entry in entries.items() if not entry.about or not entry.kind]
    values = flatten(recipe.to_dict())
    assert [entry.value for entry in entries.values()] == [values[name] for name in names]
    assert entries["steps"].value == 40 and entries["optimizer.lr"].value == 2.5e-4


def test_lines_come_from_the_docstring() -> None:
    class Some:
        """Settings.

        Attributes:
            one: the first: with a colon,
                in two lines.
            two, three: both.
        """

    both = "both."
    assert attribute_lines(Some) == {
        "one": "the first: with a colon, in two lines.",
        "two": both,
        "three": both,
    }


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (bool, "true or false"),
        (Literal["a", "b"], "a | b"),
        (Annotated[float, Field(ge=0, lt=1)], "number, ≥ 0, < 1"),
        (Annotated[int, Field(gt=0)] | None, "whole number, > 0, or null"),
        (tuple[int, float], "[whole number; number]"),
    ],
)
def test_types_in_words(hint: object, words: str) -> None:
    assert describe_type(hint) == words


def test_the_commands_list_them_without_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.adapt(["--settings", "--recipe", "strong", "--contrast.dimension", "64"]) == 0
    shown = capsys.readouterr().out
    assert "--contrast.dimension 64\n    whole number, > 0\n    channels of the" in shown
    assert "--masking.weight 0.5" in shown and "--train.steps" not in shown
    assert cli.train(["--settings"]) == 0
    assert "--contrast.head mlp" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.train([])
