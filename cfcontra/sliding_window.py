"""Covering a frame with overlapping windows."""

from __future__ import annotations

from cfcontra.errors import InputError


def windows(
    size: tuple[int, int], window: tuple[int, int], overlap: float
) -> list[tuple[slice, slice]]:
    """Windows that cover every pixel, each inside the frame.

    The step is `window · (1 − overlap)`; the last window of a row or column is moved back to
    end where the frame ends. A window larger than the frame is cut to it.

    Args:
        size: `(height, width)` of the frame.
        window: `(height, width)`.
        overlap: share of a window that the next one covers again, 0 or more, below 1.

    Raises:
        InputError: an empty window, or an overlap outside that range.
    """
    if min(window) < 1:
        raise InputError(f"Window {window[0]}x{window[1]}: height and width must be positive.")
    if not 0 <= overlap < 1:
        raise InputError(f"Overlap {overlap}: give 0 or more, and less than 1.")
    height, width = (min(part, whole) for whole, part in zip(size, window, strict=True))
    return [
        (slice(top, top + height), slice(left, left + width))
        for top in _starts(size[0], height, overlap)
        for left in _starts(size[1], width, overlap)
    ]


def _starts(whole: int, part: int, overlap: float) -> list[int]:
    step = max(1, int(part * (1 - overlap)))
    return [*range(0, whole - part, step), whole - part]
