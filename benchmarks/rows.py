"""What a benchmark's `--json` file holds: values, what each is held against, and what holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def row(
    name: str,
    value: float,
    baseline: float,
    unit: str,
    floor: float | None = None,
    *,
    more_is_better: bool = False,
) -> dict[str, Any]:
    """One value.

    Args:
        name: what was measured.
        value: what came out.
        baseline: what it is held against.
        unit: of both.
        floor: the least that their ratio should be, None where nothing is asked for.
        more_is_better: whether the ratio is the value's over the baseline's, and not, as for
            times, the baseline's over the value's.
    """
    ratio = value / baseline if more_is_better else baseline / value
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "baseline": baseline,
        "ratio": ratio,
        "floor": floor,
        "holds": floor is None or ratio >= floor,
    }


def write_rows(path: Path | None, rows: Sequence[dict[str, Any]]) -> None:
    """Write them where a file was asked for."""
    if path is not None:
        path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
