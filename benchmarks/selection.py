"""How well label-free scores rank a run's networks: their rank correlation with true mIoU.

    cfcontra-adapt … --val SPEC --val_every 100 --val_frames 0 --selection.log_all true --run one
    python benchmarks/selection.py runs/one runs/two …

Every run must have been scored with labels (`--val_every`), all of them (`--val_frames 0`), at
the steps of its candidates.
Prints, for each score: Spearman's rank correlation with mIoU over the candidates of a run
(mean over the runs) and over those of all runs together; and what the target loses or gains
by taking the network that scores best instead of the last (mean over the runs), beside the
best and the mean that were to be had.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torchmetrics.functional import spearman_corrcoef

from cfcontra.checkpoint import load_checkpoint
from cfcontra.train.curves import read_curves
from cfcontra.train.target_probe import SCORES

Candidates = dict[int, tuple[float, dict[str, float]]]
"""Step → mIoU in per cent, and the label-free scores."""


def candidates(run: Path) -> Candidates:
    """The networks of a run that have both kinds of scores."""
    curves = read_curves(run / "logs" / "metrics.csv")
    miou = {round(step): 100 * value for step, value in curves["val/miou"]}
    training = load_checkpoint(run / "model.pt").metadata.training
    # Validation during a run leaves out the last step, which is scored at its end.
    miou[training["steps"] - 1] = 100 * training["val"]["miou"]
    scores: dict[int, dict[str, float]] = {}
    for name in SCORES:
        for step, value in curves.get(f"label_free/{name}", []):
            scores.setdefault(round(step), {})[name] = value
    return {step: (miou[step], found) for step, found in scores.items() if step in miou}


def correlation(pairs: list[tuple[float, float]]) -> float:
    """Spearman's ρ of (score, mIoU)."""
    one, two = torch.tensor(pairs, dtype=torch.float64).unbind(1)
    return float(spearman_corrcoef(one, two))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    runs = [found for run in arguments.runs if len(found := candidates(run)) > 1]
    networks = [network for run in runs for network in run.values()]
    last = [run[max(run)][0] for run in runs]
    best = [max(miou for miou, _ in run.values()) for run in runs]
    print(f"{len(networks)} networks of {len(runs)} runs\n")
    print("| score | ρ within a run | ρ over all | chosen − last |\n| --- | --- | --- | --- |")
    rows = {}
    for name in SCORES:
        if not all(name in scores for _, scores in networks):
            continue
        within = [correlation([(s[name], miou) for miou, s in run.values()]) for run in runs]
        chosen = [max(run.values(), key=lambda network: network[1][name])[0] for run in runs]
        gain = [a - b for a, b in zip(chosen, last, strict=True)]
        rows[name] = {
            "within": sum(within) / len(within),
            "over_all": correlation([(scores[name], miou) for miou, scores in networks]),
            "chosen_minus_last": sum(gain) / len(gain),
        }
        print("| {} | {:.2f} | {:.2f} | {:+.2f} |".format(name, *rows[name].values()))
    gain = [a - b for a, b in zip(best, last, strict=True)]
    print(f"| (the best there was) | | | {sum(gain) / len(gain):+.2f} |")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
