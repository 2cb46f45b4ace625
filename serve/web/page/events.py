"""What the page's events have in common."""

from __future__ import annotations

from typing import Any

QUIET: dict[str, Any] = {"api_visibility": "private"}
"""The page's events are no API: the REST interface is."""

PICTURES: dict[str, Any] = {**QUIET, "concurrency_id": "pictures", "concurrency_limit": 4}
"""Events that hold decoded pictures: only so many of them at a time, or memory would run out."""
