"""How much CPU time one labelled street frame takes, on one core.

python benchmarks/streets.py [--json FILE]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from rows import row, write_rows

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
        results.append(row(f"streets:{style}", value, MOST_MS, "ms/frame", 1.0))
    write_rows(arguments.json, results)


if __name__ == "__main__":
    main()
