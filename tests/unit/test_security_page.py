"""docs/security.md names tests: they exist."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_every_line_has_its_test() -> None:
    text = (TESTS.parent / "docs" / "security.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "**" not in line]
    rows = rows[2:]
    assert len(rows) > 20
    for row in rows:
        named = re.findall(r"`(?:(test_\w+\.py)::|…)(test_\w+)`", row)
        assert named, row
        file = named[0][0]
        for other, name in named:
            file = other or file
            source = next(TESTS.glob(f"*/{file}")).read_text(encoding="utf-8")
            assert f"def {name}(" in source, row
