"""The one place where OpenCV is imported, so that its known trap is explained once."""

from __future__ import annotations

from cfcontra.errors import MissingDependencyError

try:
    import cv2
except ImportError as error:  # a missing shared library, not a missing package
    raise MissingDependencyError(
        f"OpenCV cannot start ({error}). It needs system libraries; on Debian and Ubuntu: "
        "apt-get install libgl1 libxcb1 libglib2.0-0"
    ) from error

__all__ = ["cv2"]
