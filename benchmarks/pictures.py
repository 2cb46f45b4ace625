r"""Before and after side by side, as one small picture for the docs.

    python benchmarks/pictures.py BEFORE.pt AFTER.pt --data streets:dusk,split=val \
        --frames 0 25 50 --output docs/pictures/streets-dusk.jpg

A row a frame: input, truth, before, after; --masks shows the two predictions only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from cfcontra.datasets import open_dataset
from cfcontra.files import atomic_write_bytes
from cfcontra.runtime import open_backend
from cfcontra.visualize import colorize, encode_jpeg

_GAP = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--data", required=True)
    parser.add_argument("--frames", type=int, nargs="+", default=[0])
    parser.add_argument("--width", type=int, default=280, help="of one panel, in pixels")
    parser.add_argument("--masks", action="store_true")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    backends = [open_backend(path) for path in (arguments.before, arguments.after)]
    space = backends[0].metadata.label_space
    dataset = open_dataset(arguments.data, space, labelled=not arguments.masks)
    rows = []
    for index in arguments.frames:
        sample = dataset[index]
        panels = [] if arguments.masks else [sample.image]
        if sample.label is not None:
            panels.append(colorize(sample.label, space))
        panels += [colorize(b.predict(sample.image[None]).mask[0], space) for b in backends]
        rows.append([_panel(panel, arguments.width) for panel in panels])
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    atomic_write_bytes(arguments.output, encode_jpeg(sheet[:-_GAP, :-_GAP], quality=80))


def _panel(picture: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    height = round(picture.shape[0] * width / picture.shape[1])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return np.pad(small, ((0, _GAP), (0, _GAP), (0, 0)), constant_values=255)


if __name__ == "__main__":
    main()
