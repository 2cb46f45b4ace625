"""`cfcontra-train style`: training the decoder of the `adain` style."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from cfcontra.claim import claimed
from cfcontra.command import Parser, console, set_up_logging
from cfcontra.config import STRICT, build, field_names, from_dotted, nearest_hint
from cfcontra.errors import InputError
from cfcontra.files import prepare_output

from .cli import recipe_overrides, run_folder
from .settings import DataSettings, NonNegative, Positive


@dataclass(frozen=True)
class StyleTraining:
    """How a style network's decoder is trained.

    Attributes:
        steps: optimiser steps.
        style_weight: weight of the style loss beside the content's (λ of eq. 11).
        identity_weight: weight of giving back unchanged what is not restyled; 0, the paper's,
            needs far more steps.
        lr: of Adam; it falls as `lr / (1 + decay · step)`.
    """

    __pydantic_config__: ClassVar = STRICT
    label_space: str = "cityscapes19"
    seed: Annotated[int, Field(ge=0)] = 0
    steps: Positive = 2000
    style_weight: NonNegative = 10.0
    identity_weight: NonNegative = 200.0
    lr: Annotated[float, Field(gt=0)] = 2e-3
    decay: NonNegative = 5e-5
    data: DataSettings = field(default_factory=lambda: DataSettings((256, 512)))


def style_command(argv: list[str]) -> None:
    """Train a style network as the arguments say."""
    parser = Parser(
        "train style",
        "Train the decoder that gives source frames the target's look. Fields such as --steps "
        "and --data.work_size can be set.",
    )
    parser.add_argument("--source", required=True, metavar="SPEC", help="frames to restyle")
    parser.add_argument("--target", required=True, metavar="SPEC", help="frames to look like")
    parser.add_argument(
        "--encoder",
        default="vgg19",
        metavar="NAME",
        help="vgg19 (downloaded), its .pth file, or the model.pt of a light segmenter",
    )
    parser.add_argument("--run", required=True, metavar="NAME", help="results go to runs/NAME")
    parser.add_device()
    parser.add_overwrite()
    arguments, rest = parser.parse_known_args(argv)
    set_up_logging(arguments)
    given = recipe_overrides(rest)
    known = field_names(StyleTraining)
    for key in given:
        if key not in known:
            raise InputError(f"--{key}: no such field.{nearest_hint(key, known)}")
    settings = build(StyleTraining, from_dotted(given), "the style's settings")
    folder = run_folder(arguments.run)

    from .style.training import EXAMPLES, train_style

    path, picture = folder / "style.pt", folder / EXAMPLES
    _refuse_a_runs(folder)
    prepare_output(path, arguments.overwrite)
    prepare_output(picture, arguments.overwrite)
    with claimed(folder):
        train_style(
            path,
            settings,
            arguments.source,
            arguments.target,
            arguments.encoder,
            arguments.device,
            arguments.threads,
            arguments.quiet,
        )
    console.print(f"style: {path}", soft_wrap=True)
    console.print(f"examples: {picture}", soft_wrap=True)


def _refuse_a_runs(folder: Path) -> None:
    """Raise an `InputError` where a run's log and report would be lost, --overwrite or not."""
    from .resuming import LAST
    from .run_report import DATA

    for name in ("model.pt", DATA, LAST):
        if (folder / name).is_file():
            raise InputError(
                f"{folder}: holds a run ({name}), whose log a style's would replace. "
                "Give another --run."
            )
