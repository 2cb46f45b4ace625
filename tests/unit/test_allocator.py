"""Freed memory is kept: the second round of a large allocation faults no new pages in."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_COUNT = """
import resource
import numpy as np
from cfcontra.allocator import keep_freed_memory
keep_freed_memory()
size = 24 << 20
np.ones(size, dtype=np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    np.ones(size, dtype=np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc is not the GNU C library's")
def test_large_blocks_are_reused() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", _COUNT], capture_output=True, text=True, check=True
    )
    assert int(shown.stdout) < 100
