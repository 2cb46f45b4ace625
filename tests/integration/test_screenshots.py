"""The script that takes the pictures of the demo for the docs."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from demo_site import CHROMIUM, write_models
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from benchmark_script import load_benchmark

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_docs_pictures_are_taken(tmp_path: Path) -> None:
    docs = Path(__file__).parents[2] / "docs"
    shown = set(re.findall(r"pictures/(demo-\w+\.jpg)", (docs / "demo.md").read_text()))
    load_benchmark("screenshots").take(write_models(tmp_path), tmp_path / "pictures", CHROMIUM)
    made = {path.name: path for path in (tmp_path / "pictures").iterdir()}
    assert made.keys() == shown
    for name, path in made.items():
        assert path.stat().st_size < 200_000
        with Image.open(path) as picture:
            assert picture.width == (360 if name == "demo-phone.jpg" else 1200)
            assert np.asarray(picture).std() > 10  # something is on it
