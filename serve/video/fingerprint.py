"""By what an unfinished video's source, model and encoders are known again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import av

from cfcontra.runtime import Backend

from .find import Found


def fingerprint(found: Found, backend: Backend) -> dict[str, Any]:
    """What shows that source, model and encoders are those of an earlier call, as plain data."""
    about = [[path.name, *_content(path)] for path in found.pictures or (found.source,)]
    model = json.dumps([backend.metadata.to_dict(), backend.runtime], sort_keys=True, default=str)
    return {
        "the source": hashlib.sha256(json.dumps(about).encode()).hexdigest(),
        "the model": hashlib.sha256(model.encode()).hexdigest(),
        "the version of PyAV": av.__version__,
    }


def _content(path: Path) -> list[int]:
    stat = path.stat() if path.exists() else None
    return [stat.st_size, stat.st_mtime_ns] if stat else []
