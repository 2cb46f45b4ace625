"""How much CPU time one labelled street frame takes, on one core.

python benchmarks/streets.py [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np

from cfcontra.datasets.streets import STYLES, StreetsDataset

SIZE = (256, 512)
WARM_UP, FRAMES, ROUNDS = 40, 60, 3
MOST_MS = 12.0


def milliseconds(style: str) -> float:
    """CPU time: median over frames of the fastest of a few rounds, so that others count less."""
    dataset = StreetsDataset(style, size=SIZE)
    for index in range(WARM_UP):
        dataset[index]
    fastest = np.full(FRAMES, np.inf)
    for _ in range(ROUNDS):
        for frame in range(FRAMES):
            start = time.process_time()
            dataset[WARM_UP + frame]
            fastest[frame] = min(fastest[frame], time.process_time() - start)
    return float(np.median(fastest)) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="also write the results here")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    results = []
    for style in STYLES:
        value = milliseconds(style)
        print(f"streets:{style} {SIZE[0]}×{SIZE[1]}: {value:.1f} ms per frame (at most {MOST_MS})")
        results.append(
            {
                "name": f"streets:{style}",
                "value": value,
                "unit": "ms/frame",
                "baseline": MOST_MS,
                "ratio": MOST_MS / value,
                "floor": 1.0,
                "holds": value <= MOST_MS,
            }
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
