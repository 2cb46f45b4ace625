"""Keeping the memory that a loop frees, for its next round."""

from __future__ import annotations

import ctypes

# malloc.h of the GNU C library; the values are kept below its int.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
_SETTINGS = {_MMAP_THRESHOLD: 1 << 30, _TRIM_THRESHOLD: (1 << 31) - 1, _TOP_PAD: 128 << 20}


def keep_freed_memory() -> None:
    """Let malloc reuse large blocks instead of returning them to the system each time.

    A training step or a video frame allocates the same tensors over and over; by default each
    comes as fresh pages that the kernel has to clear. Does nothing where the C library is not
    GNU's.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    for parameter, value in _SETTINGS.items():
        mallopt(parameter, value)
