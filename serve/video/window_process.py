"""The process of a `Window`: shows pictures from its standard input until that ends.

Before each picture comes a line `WIDTH HEIGHT`, then its BGR samples. Q, Escape and closing
the window end the process.
"""

from __future__ import annotations

import sys
from typing import BinaryIO

import numpy as np

from cfcontra.opencv import cv2

_ENDING_KEYS = frozenset({27, ord("q"), ord("Q")})


def main() -> None:
    """Show what comes."""
    title, source = sys.argv[1], sys.stdin.buffer
    cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sized = False
    while (picture := _read(source)) is not None:
        if not sized:
            cv2.resizeWindow(title, picture.shape[1], picture.shape[0])
            sized = True
        cv2.imshow(title, picture)
        if cv2.waitKey(1) & 0xFF in _ENDING_KEYS:
            return
        if cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) < 1:
            return


def _read(source: BinaryIO) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None:
    head = source.readline().split()
    if len(head) != 2:
        return None
    width, height = map(int, head)
    data = source.read(width * height * 3)
    if len(data) < width * height * 3:
        return None
    return np.frombuffer(data, np.uint8).reshape(height, width, 3)


if __name__ == "__main__":
    main()
