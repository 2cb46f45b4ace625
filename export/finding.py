"""What the doctor finds."""

from __future__ import annotations

from dataclasses import dataclass

OK, ABSENT, BROKEN = "works", "absent", "broken"
APT = "apt-get install "


@dataclass(frozen=True)
class Finding:
    """One thing that was tried.

    Attributes:
        state: `works`, `absent` (not there, and nobody needs it) or `broken`.
        said: what was seen.
        fix: the one command that mends it; empty where nothing is to be done.
    """

    name: str
    state: str
    said: str
    fix: str = ""


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
