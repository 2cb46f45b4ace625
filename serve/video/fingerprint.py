"""By what an unfinished video's source, model and encoders are known again."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import av

from cfcontra.runtime import Backend

from .find import Found


def fingerprint(found: Found, backend: Backend) -> dict[str, Any]:
    """What shows that source, model and encoders are those of an earlier call, as plain data."""
    if found.pictures:
        about: list[Any] = [path.name for path in found.pictures]
    else:
        stat = found.source.stat() if found.source.exists() else None
        about = [stat.st_size, stat.st_mtime_ns] if stat else []
    model = json.dumps([backend.metadata.to_dict(), backend.runtime], sort_keys=True, default=str)
    return {
        "the source": hashlib.sha256(json.dumps(about).encode()).hexdigest(),
        "the model": hashlib.sha256(model.encode()).hexdigest(),
        "the version of PyAV": av.__version__,
    }
