"""`cfcontra-train`, `cfcontra-adapt` and `cfcontra-eval`."""

from __future__ import annotations

import sys
from pathlib import Path

from cfcontra.command import Parser, console, run_command, set_up_logging
from cfcontra.errors import InputError

from .recipe import StageName, load_recipe, recipe_names


def train(argv: list[str] | None = None) -> int:
    """`cfcontra-train`: supervised training on a labelled source, or `style` as first word."""
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["style"]:
        from .style_command import style_command

        return run_command(style_command, words[1:])
    return run_command(lambda arguments: _run_stage("train", arguments), argv)


def adapt(argv: list[str] | None = None) -> int:
    """`cfcontra-adapt`: adaptation to an unlabelled target."""
    return run_command(lambda arguments: _run_stage("adapt", arguments), argv)


def evaluate(argv: list[str] | None = None) -> int:
    """`cfcontra-eval`: scores of a model on data with labels or without."""
    from .evaluate_command import evaluate_command

    return run_command(evaluate_command, argv)


def report(argv: list[str] | None = None) -> int:
    """`cfcontra-report`: the page of a finished run."""
    return run_command(_report, argv)


def _report(argv: list[str]) -> None:
    parser = Parser("report", "Write report.html into the folder of a finished run.")
    parser.add_argument("run", metavar="NAME", help="runs/NAME, or a folder")
    for name, text in (
        ("source", "where the labelled source is now"),
        ("target", "where the target is now"),
        ("val", "labelled data for the class table"),
        ("init", "the model the run began with"),
    ):
        parser.add_argument(f"--{name}", metavar="MODEL" if name == "init" else "SPEC", help=text)
    parser.add_device()
    arguments = parser.parse_args(argv)
    set_up_logging(arguments)
    given = {name: getattr(arguments, name) for name in ("source", "target", "val", "init")}
    changed = {name: value for name, value in given.items() if value is not None}

    from .run_report import write_run_report

    folder = run_folder(arguments.run)
    path = write_run_report(folder, changed, arguments.device, arguments.threads)
    console.print(f"report: {path}", soft_wrap=True)


def _run_stage(stage: StageName, argv: list[str]) -> None:
    what = {
        "train": "Train a segmenter on a labelled source domain; `cfcontra-train style` trains "
        "a style network.",
        "adapt": "Adapt a segmenter from a labelled source to an unlabelled target domain.",
    }[stage]
    parser = Parser(
        stage,
        f"{what} Any recipe field can be set: --steps 500, --optimizer.lr 1e-3, "
        "--data.work_size '[256, 512]'; --settings lists them all.",
    )
    needed = "--settings" not in argv
    parser.add_argument(
        "--settings", action="store_true", help="list all fields of the recipe, and do nothing"
    )
    parser.add_argument(
        "--recipe", default="default", help=f"one of {', '.join(recipe_names())}, or a YAML file"
    )
    parser.add_argument("--source", required=needed, metavar="SPEC", help="labelled source data")
    if stage == "adapt":
        parser.add_argument("--target", required=needed, metavar="SPEC", help="unlabelled target")
        parser.add_argument("--init", type=Path, metavar="MODEL", help="model.pt to start from")
    parser.add_argument("--val", metavar="SPEC", help="labelled data, scored for reporting only")
    parser.add_argument("--run", required=needed, metavar="NAME", help="results go to runs/NAME")
    parser.add_argument(
        "--resume", action="store_true", help="go on from the run's last checkpoint"
    )
    parser.add_argument("--no-report", action="store_true", help="write no report.html")
    parser.add_argument(
        "--logger",
        action="append",
        default=[],
        choices=["wandb", "mlflow", "comet"],
        help="log there too, beside CSV and TensorBoard; may be repeated",
    )
    parser.add_device()
    parser.add_argument("--devices", type=int, default=1, metavar="N", help="processes, one a GPU")
    parser.add_argument("--nodes", type=int, default=1, metavar="N", help="machines")
    parser.add_argument(
        "--strategy",
        default="ddp",
        metavar="NAME",
        help="how several processes share a step, one of Lightning's names for DDP (default: ddp)",
    )
    parser.add_overwrite()
    arguments, rest = parser.parse_known_args(argv)
    set_up_logging(arguments)
    overrides = recipe_overrides(rest)
    if getattr(arguments, "init", None) is not None:
        unused = [key for key in overrides if key.split(".")[0] == "model"]
        if unused:
            raise InputError(
                f"--{unused[0]}: with --init the network is that of {arguments.init}. "
                "Leave one of the two out."
            )
    recipe = load_recipe(arguments.recipe, stage, overrides)
    if arguments.settings:
        from .settings_help import as_text, settings_help

        entries = settings_help(recipe, stage)
        console.print(as_text(entries), markup=False, soft_wrap=True)
        return

    from .processes import Processes
    from .request import RunRequest
    from .run import run

    result = run(
        RunRequest(
            folder=run_folder(arguments.run),
            recipe=recipe,
            stage=stage,
            source=arguments.source,
            target=getattr(arguments, "target", None),
            val=arguments.val,
            init=getattr(arguments, "init", None),
            device=arguments.device,
            threads=arguments.threads,
            processes=Processes(arguments.devices, arguments.nodes, arguments.strategy),
            overwrite=arguments.overwrite,
            quiet=arguments.quiet,
            resume=arguments.resume,
            report=not arguments.no_report,
            loggers=list(dict.fromkeys(arguments.logger)),
        )
    )
    if result is None:
        return
    if result.scores is not None:
        console.print(f"mIoU {100 * result.scores.miou:.2f} on {arguments.val}")
    console.print(f"model: {result.model}", soft_wrap=True)
    if result.report is not None:
        console.print(f"report: {result.report}", soft_wrap=True)


def run_folder(name: str) -> Path:
    """`NAME` → `runs/NAME`; a name with a path in it is taken as the folder itself."""
    path = Path(name)
    return path if len(path.parts) > 1 else Path("runs") / path


def recipe_overrides(rest: list[str]) -> dict[str, str]:
    """`--FIELD VALUE` words as field → value.

    Raises:
        InputError: a word that is no field, or a field without a value.
    """
    overrides: dict[str, str] = {}
    words = iter(rest)
    for word in words:
        if not word.startswith("--"):
            raise InputError(f"'{word}': not expected here. Recipe fields are --FIELD VALUE.")
        key, equals, value = word[2:].partition("=")
        if not equals:
            found = next(words, None)
            if found is None:
                raise InputError(f"{word}: needs a value.")
            value = found
        overrides[key] = value
    return overrides
