"""Recipes: every setting of a run, as dataclasses read from YAML and the command line."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from cfcontra.config import (
    STRICT,
    build,
    field_names,
    from_dotted,
    merge,
    nearest_hint,
    read_yaml,
)
from cfcontra.errors import InputError

from .settings import (
    AdversarialSettings,
    ContrastSettings,
    DataSettings,
    EntropySettings,
    LightSettings,
    MaskingSettings,
    MixingSettings,
    ModelSettings,
    NonNegative,
    OptimizerSettings,
    Positive,
    SelectionSettings,
    Share,
    StyleSettings,
    TeacherSettings,
)

StageName = Literal["train", "adapt"]


@dataclass(frozen=True)
class Stage:
    """One training run: supervised on the source, or adaptation to the target.

    Attributes:
        method: what is learned from the target.
        steps: optimiser steps.
        aux_weight: weight of the auxiliary classifier's cross-entropy.
        class_balance: exponent of inverse class frequency in the cross-entropy, 0 is off.
        ema: decay of the weight average that is kept as the result, 0 is off.
        target_warmup: steps before anything is learned from the target's predictions, which
            are wrong at first where the domains differ much; restyled source frames, the
            source's contrast and batch statistics prepare them.
        norm_target: share of target frames among the plain frames that batch-norm statistics
            are estimated from at the end (AdaBN); None keeps those gathered in training, from
            augmented frames, half of them the source's.
        val_every: steps between validations and between pictures in the TensorBoard log, 0
            for a validation at the end only; None: an eighth of the steps.
        val_frames: most frames of the validation data that are scored on the way, evenly
            spread; 0 for all. At the end all are.
        checkpoint_every: steps between checkpoints that a stopped run goes on from.
    """

    __pydantic_config__: ClassVar = STRICT
    method: Literal["source-only", "minent", "advent", "cfcontra", "self-training"] = "source-only"
    steps: Positive = 1000
    aux_weight: NonNegative = 0.1
    class_balance: Share = 0.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_warmup: Annotated[int, Field(ge=0)] = 0
    norm_target: Share | None = None
    val_every: Annotated[int, Field(ge=0)] | None = None
    val_frames: Annotated[int, Field(ge=0)] = 16
    checkpoint_every: Positive = 500
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    light: LightSettings = field(default_factory=LightSettings)
    style: StyleSettings = field(default_factory=StyleSettings)
    entropy: EntropySettings = field(default_factory=EntropySettings)
    contrast: ContrastSettings = field(default_factory=ContrastSettings)
    adversarial: AdversarialSettings = field(default_factory=AdversarialSettings)
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    mixing: MixingSettings = field(default_factory=MixingSettings)
    masking: MaskingSettings = field(default_factory=MaskingSettings)
    selection: SelectionSettings = field(default_factory=SelectionSettings)

    @property
    def looked_at_every(self) -> int:
        """Steps between validations and between pictures, 0 for none."""
        return -(-self.steps // 8) if self.val_every is None else self.val_every


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a run besides the data and the machine.

    Attributes:
        label_space: built-in name or YAML file.
        seed: of everything random.
        precision: `auto` takes bf16 where the device computes it natively, else fp32.
        train, adapt: the two stages.
    """

    __pydantic_config__: ClassVar = STRICT
    label_space: str = "cityscapes19"
    seed: Annotated[int, Field(ge=0)] = 0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    model: ModelSettings = field(default_factory=ModelSettings)
    data: DataSettings = field(default_factory=DataSettings)
    train: Stage = field(default_factory=Stage)
    adapt: Stage = field(default_factory=Stage)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as a recipe file holds it."""
        return dataclasses.asdict(self)


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = resources.files(__package__) / "recipes"
    return sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name[-5:] == ".yaml")


def load_recipe(name: str, stage: StageName, overrides: Mapping[str, str]) -> Recipe:
    """Read a recipe and set fields of it.

    Args:
        name: a packaged recipe, or a YAML file of the same fields.
        stage: the stage about to run: an override such as `steps` that is a field of a
            stage means that stage's.
        overrides: dotted field name → value as text.

    Raises:
        InputError: unknown recipe or field, or a value that does not fit.
    """
    stage_fields = {entry.name for entry in dataclasses.fields(Stage)}
    dotted = {
        f"{stage}.{key}" if key.split(".")[0] in stage_fields else key: value
        for key, value in overrides.items()
    }
    known = field_names(Recipe)
    reachable = [*known, *(key.removeprefix(f"{stage}.") for key in known)]
    for given, key in zip(overrides, dotted, strict=True):
        if key not in known:
            raise InputError(f"--{given}: no such recipe field.{nearest_hint(given, reachable)}")
    return build(Recipe, merge(_read(name), from_dotted(dotted)), f"recipe '{name}'")


def _read(name: str) -> dict[str, Any]:
    if Path(name).suffix in {".yaml", ".yml"}:
        return read_yaml(Path(name))
    names = recipe_names()
    if name not in names:
        raise InputError(
            f"Unknown recipe '{name}'.{nearest_hint(name, names)} "
            f"Known: {', '.join(names)}, or a .yaml file."
        )
    with resources.as_file(resources.files(__package__) / "recipes" / f"{name}.yaml") as path:
        return read_yaml(path)
