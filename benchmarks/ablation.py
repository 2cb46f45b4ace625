"""What each stage gives: source-only runs, then adaptations of them, over several seeds.

    python benchmarks/ablation.py streets                    # generated streets, noon to dusk
    python benchmarks/ablation.py camvid --data PATH         # CamVid, day to dusk
    python benchmarks/ablation.py camvid-small --data PATH --seeds 0 1 2

Prints a Markdown table and, with --json FILE, writes the figures. Labels of the target are
used for these figures only. A run that is there already is not repeated, so a stopped
benchmark goes on; --folder takes another place for another measurement.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rows import row, write_rows

from cfcontra.train import cli

NO_STYLE = ["--style.name", "none"]
NO_TARGET = ["--method", "source-only", *NO_STYLE, "--norm_target", "null"]
PUBLISHED = [
    *(f"--contrast.{a}_to_{b} 0.001" for a in ("source", "target") for b in ("source", "target")),
    "--contrast.pseudo_labels margin --contrast.balance false --entropy.weight 0.001",
]
SOURCE_ONLY = "source-only"
MARGIN = 3.5
"""mIoU of CFContra above MinEnt on GTA5 → Cityscapes (Tang et al. 2021)."""
ROWS: dict[str, list[str]] = {
    SOURCE_ONLY: [],
    "more steps, varied light": NO_TARGET,
    "coarse": ["--method", "source-only"],
    "MinEnt": ["--method", "minent", *NO_STYLE],
    "CFContra": NO_STYLE,
    "coarse + MinEnt": ["--method", "minent"],
    "coarse + AdvEnt": ["--method", "advent"],
    "coarse + CFContra": [],
    "coarse + CFContra, published settings": " ".join(PUBLISHED).split(),
    "strong": ["--mixing.weight", "1", "--masking.weight", "0.5", "--masking.patch", "32"],
}


@dataclass(frozen=True)
class Setting:
    """Data and recipe of one table, and how `strong` is fitted to its length.

    `ceiling` is the target mIoU of the same network trained on labels of the target.
    """

    recipe: str
    source: str
    target: str
    source_val: str
    target_val: str
    strong: str
    options: str = ""
    ceiling: float | None = None


def settings(name: str, data: str) -> Setting:
    if name == "streets":
        return Setting(
            "streets-noon-to-dusk",
            "streets:noon",
            "streets:dusk",
            "streets:noon,split=val,length=100",
            "streets:dusk,split=val,length=100",
            "--target_warmup 80 --teacher.decay 0.98 --teacher.threshold 0.9 --norm_target 0.75",
        )
    small = name == "camvid-small"
    return Setting(
        "camvid-day-to-dusk",
        f"folder:{data}/day,frames=0:346",
        f"folder:{data}/dusk",
        f"folder:{data}/day,frames=346:406",
        f"folder:{data}/dusk-val",
        f"--target_warmup {200 if small else 400} --teacher.decay 0.99 --teacher.threshold 0.9",
        "--data.work_size [180,240] --data.batch_size 6 --steps 800" if small else "",
        46.0 if small else None,
    )


def run(command: Callable[[list[str]], int], *arguments: str) -> None:
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


def measure(setting: Setting, row: str, seed: str, folder: Path, device: str) -> dict[str, float]:
    """Scores of one row with one seed: trained now, or read where they are there."""
    place = folder / seed / row.replace(" + ", "-").replace(", ", "-").replace(" ", "-")
    result = place / "result.json"
    if result.is_file():
        return dict(json.loads(result.read_text()))
    started = time.monotonic()
    common = ["--recipe", setting.recipe, "--source", setting.source, "--run", str(place)]
    common += ["--overwrite", "--no-report", "--quiet", "--seed", seed, "--device", device]
    common += setting.options.split()
    if row == SOURCE_ONLY:
        plain = ["--light.jitter", "0", "--light.gamma", "0", "--light.blur", "0"]
        run(cli.train, *common, *plain)
    else:
        init = folder / seed / SOURCE_ONLY / "model.pt"
        fitted = setting.strong.split() if row == "strong" else []
        target = ["--init", str(init), "--target", setting.target]
        run(cli.adapt, *common, *target, *ROWS[row], *fitted)
    scores = {
        "seconds": time.monotonic() - started,
        "source": score(place / "model.pt", setting.source_val, device),
        "target": score(place / "model.pt", setting.target_val, device),
    }
    result.write_text(json.dumps(scores))
    return scores


def goals(means: dict[str, float], ceiling: float | None) -> list[dict[str, Any]]:
    """What the method should give on the target, where the rows for it were run.

    Args:
        means: target mIoU of each row.
        ceiling: mIoU of the same network with labels of the target, None where not known.
    """
    found = []
    for contrast, entropy in (("CFContra", "MinEnt"), ("coarse + CFContra", "coarse + MinEnt")):
        if contrast in means and entropy in means:
            gain = means[contrast] - means[entropy]
            name = f"{contrast} above {entropy}, against the paper's margin"
            found.append(row(name, gain, MARGIN, "mIoU", 1.0, more_is_better=True))
    if ceiling is not None and "strong" in means:
        closed = means["strong"] - means[SOURCE_ONLY]
        name = "strong: what it closes of the gap from source-only to target labels"
        gap = ceiling - means[SOURCE_ONLY]
        found.append(row(name, closed, gap, "mIoU", 0.85, more_is_better=True))
    return found


def spread(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("setting", choices=["streets", "camvid", "camvid-small"])
    parser.add_argument("--data", default="data/camvid", help="folder with day, dusk, dusk-val")
    parser.add_argument("--folder", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--seeds", nargs="+", default=["0"])
    parser.add_argument("--rows", nargs="+", choices=[*ROWS], default=[*ROWS], metavar="ROW")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    setting = settings(arguments.setting, arguments.data)
    folder = arguments.folder / arguments.setting
    methods = [SOURCE_ONLY, *(name for name in arguments.rows if name != SOURCE_ONLY)]
    found: dict[str, list[dict[str, float]]] = {method: [] for method in methods}
    for seed in arguments.seeds:
        for method in methods:
            scores = measure(setting, method, seed, folder, arguments.device)
            found[method].append(scores)
            told = ", ".join(f"{name} {value:.1f}" for name, value in scores.items())
            print(f"seed {seed}: {method}: {told}", file=sys.stderr, flush=True)
    print("| | source mIoU | target mIoU | seconds |\n| --- | --- | --- | --- |")
    for method, results in found.items():
        cells = [spread([scores[name] for scores in results]) for name in ("source", "target")]
        seconds = statistics.mean(scores["seconds"] for scores in results)
        print(f"| {method} | {cells[0]} | {cells[1]} | {seconds:.0f} |")
    means = {
        method: statistics.mean(scores["target"] for scores in results)
        for method, results in found.items()
    }
    write_rows(
        arguments.json,
        [
            row(
                f"{arguments.setting}: {method}: target mIoU",
                mean,
                means[SOURCE_ONLY],
                "mIoU",
                more_is_better=True,
            )
            for method, mean in means.items()
        ]
        + goals(means, setting.ceiling),
    )


if __name__ == "__main__":
    main()
