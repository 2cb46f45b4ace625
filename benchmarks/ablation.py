"""What each stage of CFContra gives: one source-only run, then one adaptation per stage.

    python benchmarks/ablation.py streets            # generated streets, noon to dusk
    python benchmarks/ablation.py camvid --data PATH # CamVid, day to dusk

Prints a Markdown table and, with --json FILE, writes the figures. Labels of the target are
used for these figures only.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from cfcontra.train import cli

STAGES: dict[str, list[str]] = {
    "+ more steps, varied light": ["--method", "source-only", "--style.name", "none"],
    "+ style": ["--method", "source-only"],
    "+ entropy": ["--method", "minent"],
    "+ contrast (CFContra)": [],
}


@dataclass(frozen=True)
class Setting:
    recipe: str
    source: str
    target: str
    source_val: str
    target_val: str


def settings(name: str, data: str) -> Setting:
    if name == "streets":
        return Setting(
            "streets-noon-to-dusk",
            "streets:noon",
            "streets:dusk",
            "streets:noon,split=val,length=100",
            "streets:dusk,split=val,length=100",
        )
    return Setting(
        "camvid-day-to-dusk",
        f"folder:{data}/day,frames=0:346",
        f"folder:{data}/dusk",
        f"folder:{data}/day,frames=346:406",
        f"folder:{data}/dusk-val",
    )


def run(command: object, *arguments: str) -> None:
    assert callable(command)
    with contextlib.redirect_stdout(io.StringIO()):
        status = command(list(arguments))
    if status != 0:
        sys.exit(1)


def score(model: Path, spec: str, device: str) -> float:
    result = model.parent / "scores.json"
    run(
        cli.evaluate,
        *(str(model), "--data", spec, "--json", str(result), "--overwrite", "--quiet"),
        *("--device", device),
    )
    return float(json.loads(result.read_text())["miou"]) * 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("setting", choices=["streets", "camvid"])
    parser.add_argument("--data", default="data/camvid", help="folder with day, dusk, dusk-val")
    parser.add_argument("--folder", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--seed", default="0")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    setting = settings(arguments.setting, arguments.data)
    folder = arguments.folder / arguments.setting
    common = ["--recipe", setting.recipe, "--source", setting.source, "--overwrite", "--no-report"]
    common += ["--seed", arguments.seed, "--device", arguments.device]
    source = folder / "source-only"
    runs: list[tuple[str, Path, list[str]]] = [("source-only", source, [])]
    runs += [(name, folder / name.split()[1], options) for name, options in STAGES.items()]
    rows = []
    for name, place, options in runs:
        started = time.monotonic()
        if name == "source-only":
            run(cli.train, *common, "--run", str(place))
        else:
            init = ["--init", str(source / "model.pt"), "--target", setting.target]
            run(cli.adapt, *common, *init, "--run", str(place), *options)
        seconds = time.monotonic() - started
        scores = [
            score(place / "model.pt", spec, arguments.device)
            for spec in (setting.source_val, setting.target_val)
        ]
        rows.append((name, *scores, seconds))
    print("| | source mIoU | target mIoU | seconds |\n| --- | --- | --- | --- |")
    for name, on_source, on_target, seconds in rows:
        print(f"| {name} | {on_source:.1f} | {on_target:.1f} | {seconds:.0f} |")
    if arguments.json:
        base = rows[0][2]
        content = [
            {
                "name": f"{arguments.setting}: {name}: target mIoU",
                "value": on_target,
                "unit": "mIoU",
                "baseline": base,
                "ratio": on_target / base,
                "floor": None,
                "holds": True,
            }
            for name, _, on_target, _ in rows
        ]
        arguments.json.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
