"""`cfcontra-quickstart`: the whole way once, on generated streets.

Runs the package's own commands one after the other, in one process, and shows each
as one would type it. The commands are loaded by name: the core imports none of them.
"""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import Any

from rich.table import Table

from cfcontra.cli import COMMANDS, load_entry_point
from cfcontra.command import Parser, console, notes, run_command, set_up_logging
from cfcontra.errors import CfcontraError, InputError
from cfcontra.files import atomic_write_text, prepare_output_folder

RECIPE = "streets-noon-to-dusk"
SOURCE, TARGET = "streets:noon", "streets:dusk"
_EVALUATED = "split=val,length=100"
_SHOWN = range(0, 100, 25)
_FOLDER = Path("runs/quickstart")
_OWN = ".cfcontra-quickstart"  # stands in a folder that a quickstart has written into before
_RESULTS = (
    *("source", "adapted", "model.onnx", "model.onnx.certificate.json", "report.html"),
    *(f"{run}-{style}.json" for run in ("source-only", "adapted") for style in ("noon", "dusk")),
    *("dusk-drive.mp4", "dusk-drive-segmented.mp4"),
)
_DRIVE_SECONDS, _DRIVE_RATE, _DRIVE_SIZE = 8, 25, (360, 640)


class StepFailedError(CfcontraError):
    """One of the commands failed; it has said why itself."""

    def __init__(self, name: str, status: int) -> None:
        super().__init__(f"cfcontra-{name} failed, so the quickstart stops here.")
        self.exit_code = status


def main(argv: list[str] | None = None) -> int:
    """Entry point of `cfcontra-quickstart`."""
    return run_command(_quickstart, argv)


def _quickstart(argv: list[str]) -> None:
    parser = Parser(
        "quickstart",
        "Train on generated noon streets, adapt to dusk without its labels, evaluate, export, "
        "and segment a generated drive. Takes some minutes on two CPU cores.",
    )
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="for results")
    parser.add_argument("--seed", type=int, default=0, help="the same seed, the same figures")
    parser.add_device()
    parser.add_overwrite()
    arguments = parser.parse_args(argv)
    set_up_logging(arguments)
    started = time.monotonic()
    folder: Path = arguments.folder
    if not arguments.overwrite:
        _refuse_what_is_not_its_own(folder)
    prepare_output_folder(folder)
    atomic_write_text(folder / _OWN, "")
    common = ["--device", arguments.device, "--overwrite"]
    if arguments.threads is not None:
        common += ["--threads", str(arguments.threads)]
    if arguments.quiet:
        common.append("--quiet")
    scores = _train_and_score(folder, common, arguments.seed)
    model = folder / "model.onnx"
    adapted = folder / "adapted" / "model.pt"
    _command("export", str(adapted), "--output", str(model), *common)
    drive, segmented = folder / "dusk-drive.mp4", folder / "dusk-drive-segmented.mp4"
    _write_drive(drive, arguments.seed)
    _command("segment", str(drive), "--model", str(model), "--output", str(segmented), *common)
    rows = _table(scores)
    _report(folder, rows, arguments)
    _show(rows)
    console.print(f"\nreport: {folder / 'report.html'}\nvideo:  {segmented}", soft_wrap=True)
    console.print(f"web demo: cfcontra-demo {model}", soft_wrap=True)
    notes.print(f"{time.monotonic() - started:.0f} s in all")


def _refuse_what_is_not_its_own(folder: Path) -> None:
    """Raise an `InputError` where results would take the place of what somebody else made.

    A second quickstart takes the place of the first.
    """
    if folder.resolve() == _FOLDER.resolve() or (folder / _OWN).exists():
        return
    for name in _RESULTS:
        if (folder / name).exists():
            raise InputError(
                f"{folder / name}: exists already, and is not the quickstart's. Give another "
                "--folder, or --overwrite to replace it."
            )


def _train_and_score(folder: Path, common: list[str], seed: int) -> dict[str, dict[str, float]]:
    source, adapted = folder / "source", folder / "adapted"
    settings = ["--recipe", RECIPE, "--seed", str(seed), *common]
    val = f"{TARGET},{_EVALUATED}"
    _command("train", "--source", SOURCE, "--run", str(source), "--no-report", *settings)
    _command(
        "adapt",
        *("--init", str(source / "model.pt")),
        *("--source", SOURCE, "--target", TARGET, "--val", val, "--run", str(adapted)),
        "--no-report",  # its own report shows both runs
        *settings,
    )
    return {
        name: {
            spec: _score(run / "model.pt", spec, folder / f"{name}-{style}.json", common)
            for style, spec in (("noon", SOURCE), ("dusk", TARGET))
        }
        for name, run in (("source-only", source), ("adapted", adapted))
    }


def _score(model: Path, spec: str, result: Path, common: list[str]) -> float:
    _command("eval", str(model), "--data", f"{spec},{_EVALUATED}", "--json", str(result), *common)
    return float(json.loads(result.read_text(encoding="utf-8"))["miou"])


def _command(name: str, *arguments: str) -> None:
    notes.rule(style="dim")
    notes.print(f"$ cfcontra-{name} {shlex.join(arguments)}", style="bold", soft_wrap=True)
    entry: Any = load_entry_point(COMMANDS[name][0])
    status = entry(list(arguments))
    if status == 130:
        raise KeyboardInterrupt
    if status:
        raise StepFailedError(name, status)


def _write_drive(path: Path, seed: int) -> None:
    from fractions import Fraction

    from cfcontra.datasets.streets import drive

    write_video: Any = load_entry_point("cfcontra.serve.video:write_video")
    samples = drive(
        "dusk",
        frames=_DRIVE_SECONDS * _DRIVE_RATE,
        size=_DRIVE_SIZE,
        fps=float(_DRIVE_RATE),
        seed=seed + 1,
    )
    write_video((sample.image for sample in samples), path, Fraction(_DRIVE_RATE))


def _table(scores: dict[str, dict[str, float]]) -> list[list[str]]:
    return [
        ["mIoU", f"source ({SOURCE})", f"target ({TARGET})"],
        *(
            [name, f"{100 * by_domain[SOURCE]:.1f}", f"{100 * by_domain[TARGET]:.1f}"]
            for name, by_domain in scores.items()
        ),
    ]


def _report(folder: Path, rows: list[list[str]], arguments: Any) -> None:
    from cfcontra.datasets import open_dataset
    from cfcontra.runtime import open_backend

    write_report: Any = load_entry_point("cfcontra.train.report:write_report")
    domain: Any = load_entry_point("cfcontra.train.report:ReportDomain")
    run: Any = load_entry_point("cfcontra.train.report:ReportRun")
    before, after = (
        open_backend(folder / name / "model.pt", arguments.device, arguments.threads)
        for name in ("source", "adapted")
    )
    domains = [
        domain(f"{role}: {spec}", open_dataset(f"{spec},{_EVALUATED}"), _SHOWN)
        for role, spec in (("target", TARGET), ("source", SOURCE))
    ]
    runs = [
        run(f"cfcontra-{name}", folder / place / "logs" / "metrics.csv")
        for name, place in (("adapt", "adapted"), ("train", "source"))
    ]
    write_report(folder / "report.html", "From noon to dusk", rows, before, after, domains, runs)


def _show(rows: list[list[str]]) -> None:
    table = Table(*rows[0])
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)
