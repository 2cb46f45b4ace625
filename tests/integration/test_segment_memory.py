"""A long video takes no more memory than a short one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from video_clips import make_clip

_SCRIPT = Path(__file__).parents[2] / "benchmarks" / "video_memory.py"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_memory_is_flat(tmp_path: Path) -> None:
    """Ten thousand frames in segments, with a checkpoint every ten seconds."""
    clip = make_clip(tmp_path / "clip.mp4", times=[1001 * n for n in range(250)], size=(320, 180))
    figures = tmp_path / "figures.json"
    command = [sys.executable, str(_SCRIPT), str(clip), "--hours", "0.095", "--json", str(figures)]
    subprocess.run(command, check=True, timeout=500)
    (row,) = json.loads(figures.read_text())
    assert row["value"] < row["baseline"] + 10, "MiB"
    assert row["value"] < 400, "MiB"
