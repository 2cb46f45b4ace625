"""Ultralytics beside `video.py`: `predict(save=True)` in a process with another interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_SCRIPT = Path(__file__).with_name("video_ultralytics_process.py")


class Ultralytics:
    """Its process, which sleeps between its turns.

    Args:
        python: an interpreter that has Ultralytics installed.
        clip: the video.
        size: `(height, width)` that the network sees.
        threads: of torch.
        folder: for what it writes.
    """

    def __init__(
        self, python: Path, clip: Path, size: tuple[int, int], threads: int, folder: Path
    ) -> None:
        environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
        environment |= {"YOLO_VERBOSE": "false", "YOLO_CONFIG_DIR": str(folder)}
        environment |= {"PYTHONSAFEPATH": "1"}  # nothing in this folder is for its imports
        arguments = [str(clip), json.dumps(size), str(threads), str(folder / "ultralytics")]
        self._process = subprocess.Popen(
            [str(python), str(_SCRIPT), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.about = self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line[:1] in "[{":
                return json.loads(line)
        sys.exit("error: Ultralytics has ended; its own words are above.")

    def measure(self) -> tuple[float, float]:
        """Milliseconds a frame: of the bare network, of the whole."""
        assert self._process.stdin is not None
        print("go", file=self._process.stdin, flush=True)
        bare, whole = self._answer()
        return bare, whole

    def __enter__(self) -> Ultralytics:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
