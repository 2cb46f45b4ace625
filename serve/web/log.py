"""A JSON line for every REST request and every error of a server."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cfcontra.files import refusals

REQUESTS = logging.getLogger("cfcontra.serve.requests")
_PLAIN = set(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Time, level, event, and whatever a record carries besides."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        entry |= {name: value for name, value in vars(record).items() if name not in _PLAIN}
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def log_requests(target: str | None, verbose: bool = False) -> None:
    """Write the lines to a file, or to standard error for `-`.

    Args:
        target: where to; None for nowhere, so that only errors show, as those of all commands do.
        verbose: whether the page's own requests have lines too.

    Raises:
        InputError: the file cannot be written.
    """
    if target is None:
        REQUESTS.setLevel(logging.WARNING)
        return
    handler: logging.Handler
    if target == "-":
        handler = logging.StreamHandler(sys.stderr)
    else:
        path = Path(target)
        with refusals(path):
            handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(JsonLines())
    logger = logging.getLogger("cfcontra.serve")
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    logger.handlers, logger.propagate = [handler], False
