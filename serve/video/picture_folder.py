"""A folder of pictures as a source: frames of a drive, one file each."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av

from cfcontra.errors import InputError, system_reason
from cfcontra.orientation import Orientation

from .shape import Shaper
from .source import Frame, Mark, Source

_LOG = logging.getLogger(__name__)


class PictureFolder(Source):
    """Gives pictures in the order of their list, at a fixed rate.

    All have the size of the first when they are upright, however the camera was held for each. A
    file that cannot be decoded is skipped and counted.

    Args:
        folder: what they are known as.
        pictures: the files.
        rate: frames per second.

    Raises:
        InputError: not one can be decoded.
    """

    def __init__(self, folder: Path, pictures: Sequence[Path], rate: Fraction) -> None:
        self.name = str(folder)
        self.resumable = True
        self._pictures = pictures
        self._names = Counter(name for path in pictures for name in (path.stem, path.name))
        self._from = 0
        self._skipped = 0
        first = next((frame for frame in map(_decode, pictures) if frame is not None), None)
        if first is None:
            raise InputError(f"{folder}: not one of its {len(pictures)} pictures can be decoded.")
        self._shape = Shaper(first, self.name, rate, 1 / rate)
        self.format = self._shape.format
        self.expected = len(pictures)

    def __iter__(self) -> Iterator[Frame]:
        index = self._skipped
        for position in range(self._from, len(self._pictures)):
            path = self._pictures[position]
            frame = _decode(path)
            if frame is None:
                _LOG.warning("%s: cannot be decoded and is skipped.", path)
                self.damaged += 1
                continue
            turn = Orientation.of(frame, str(path))
            width, height = turn.upright((frame.width, frame.height))
            if (width, height) != (self.format.width, self.format.height):
                raise InputError(
                    f"{path}: is {width}×{height}, the first picture was {self.format.width}×"
                    f"{self.format.height}. Put pictures of one size into a folder."
                )
            image = self._shape(frame, turn)
            image.pts, image.time_base, image.duration = position, self.format.time_base, 1
            name = path.stem if self._names[path.stem] == 1 else path.name  # a.jpg beside a.png
            yield Frame(index, image, position, name)
            index += 1

    def skip_to(self, mark: Mark) -> None:
        assert mark.origin is not None
        if mark.origin >= len(self._pictures):
            raise InputError(f"{self.name}: holds fewer pictures than before; leave --resume out.")
        self._from, self._skipped, self.damaged = mark.origin + 1, mark.frames, mark.damaged

    def close(self) -> None:
        pass


def _decode(path: Path) -> av.VideoFrame | None:
    try:
        with av.open(f"file:{path}") as container:
            return next(container.decode(video=0), None)
    except (av.FFmpegError, IndexError, ValueError):
        return None
    except OSError as error:
        raise InputError(f"{path}: reading it failed ({system_reason(error)}).") from error
