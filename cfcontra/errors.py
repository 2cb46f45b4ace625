"""The one small family of errors the package raises on purpose.

Each message says what was wrong, where, and what to do about it. The commands
print that message and exit with the class's `exit_code`; anything else that
reaches the user is a bug.
"""

from __future__ import annotations


class CfcontraError(Exception):
    """Base of every error raised on purpose."""

    exit_code = 2


class InputError(CfcontraError):
    """Something the user gave cannot be used: a path, a value, a file's content."""


class UnlabelledError(InputError):
    """Labels are wanted of data that has none at all."""


class LabelSpaceError(InputError):
    """Label spaces that do not fit each other."""


class MissingDependencyError(CfcontraError):
    """A package or system library that the requested feature needs is not installed."""


class CheckFailedError(CfcontraError):
    """A check on the product's own result failed, such as an export's certificate."""

    exit_code = 3


def system_reason(error: Exception) -> str:
    """What the system or a library says went wrong, without the error's number."""
    return str(getattr(error, "strerror", None) or error)
