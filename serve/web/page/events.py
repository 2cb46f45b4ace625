"""What all events of the page have in common."""

from __future__ import annotations

from typing import Any

QUIET: dict[str, Any] = {"api_visibility": "private"}
"""The page's events are no API: the REST interface is."""
