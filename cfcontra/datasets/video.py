"""`video:GLOB`: distinct frames of unlabelled video, as a target domain."""

from __future__ import annotations

import glob
import math
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from cfcontra.continuity import Continuity
from cfcontra.datasets.base import Sample, SegmentationDataset
from cfcontra.datasets.request import Request
from cfcontra.errors import InputError, UnlabelledError, system_reason
from cfcontra.label_space import LabelSpace
from cfcontra.opencv import cv2
from cfcontra.orientation import Orientation

_THUMBNAIL = (32, 18)
_NEAR_DUPLICATE = 3.0  # mean absolute grey difference of thumbnails, 0–255
_JPEG_QUALITY = 95

Region = tuple[float, float, float, float]


class VideoDataset(SegmentationDataset):
    """Frames of the videos that match a pattern, near-duplicates left out.

    The videos are decoded once, when opened; kept frames stay in memory as JPEG, upright.
    A frame is kept when at least `interval` seconds have passed since the last kept
    one and its thumbnail differs from it (a car waiting at a light gives one frame).

    Args:
        pattern: glob of video files, or the name of one, which may hold a glob's signs.
        label_space: the space the model works in; video has no labels.
        interval: least distance between kept frames in seconds.
        limit: most frames kept, spread evenly over everything decoded.
        ignore: `(top, left, bottom, right)` as shares of height and width: a region
            that is not learned from, such as the bonnet.

    Raises:
        InputError: no file matches, a file is not a video, or no frame is left.
    """

    def __init__(
        self,
        pattern: str,
        label_space: LabelSpace,
        interval: float = 0.5,
        limit: int = 1000,
        ignore: Region | None = None,
    ) -> None:
        if not 0 <= interval < math.inf or limit < 1:
            raise InputError(f"video:{pattern}: interval must be ≥ 0, in seconds, and limit ≥ 1.")
        if ignore is not None and not _is_region(ignore):
            raise InputError(
                f"video:{pattern}: ignore={ignore} must be top:left:bottom:right, each 0–1."
            )
        if ignore == (0, 0, 1, 1):
            raise _ignores_all(pattern)
        self.label_space = label_space
        self.labelled = False
        self._ignore = ignore
        found = glob.glob(glob.escape(pattern)) or glob.glob(pattern, recursive=True)  # noqa: PTH207
        paths = sorted(Path(name) for name in found)
        if not paths:
            raise InputError(f"video:{pattern}: no such file, and nothing matches as a pattern.")
        self._frames = _spread(chain.from_iterable(_distinct(p, interval) for p in paths), limit)
        if not self._frames:
            raise InputError(f"video:{pattern}: no usable frame in {len(paths)} file(s).")
        if (ignored := self[0].ignore) is not None and ignored.all():
            raise _ignores_all(pattern)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> Sample:
        origin, data = self._frames[index]
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)
        return Sample(image, None, origin, self._ignore_mask(image))

    def _ignore_mask(self, image: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
        if self._ignore is None:
            return None
        height, width = image.shape[:2]
        top, left, bottom, right = self._ignore
        mask = np.zeros((height, width), dtype=np.bool_)
        mask[
            round(top * height) : round(bottom * height), round(left * width) : round(right * width)
        ] = True
        return mask


def open_spec(request: Request) -> VideoDataset:
    """Open the videos that a glob matches.

    Raises:
        InputError: labels are wanted, or anything `VideoDataset` refuses.
    """
    if request.labelled:
        raise UnlabelledError(
            f"{request.spec}: video has no labels. Use it as a target, or see what a model makes "
            "of it with cfcontra-eval --unlabelled."
        )
    ignore: Region | None = None
    if text := request.text("ignore", ""):
        try:
            top, left, bottom, right = (float(part) for part in text.split(":"))
        except ValueError as error:
            raise InputError(
                f"{request.spec}: ignore={text} must be top:left:bottom:right, each 0–1."
            ) from error
        ignore = (top, left, bottom, right)
    return VideoDataset(
        request.place,
        request.space(),
        interval=request.number("interval", 0.5),
        limit=request.integer("limit", 1000),
        ignore=ignore,
    )


def _ignores_all(pattern: str) -> InputError:
    return InputError(
        f"video:{pattern}: ignore covers the whole frame, which leaves nothing to learn from. "
        "Give a smaller region."
    )


def _is_region(region: Region) -> bool:
    top, left, bottom, right = region
    return 0 <= top < bottom <= 1 and 0 <= left < right <= 1


def _nearly_same(one: NDArray[np.float32], other: NDArray[np.float32] | None) -> bool:
    return other is not None and float(np.abs(one - other).mean()) < _NEAR_DUPLICATE


def _spread(
    frames: Iterable[tuple[str, NDArray[np.uint8]]], limit: int
) -> list[tuple[str, NDArray[np.uint8]]]:
    """At most `limit` of the frames, spread evenly, as JPEG; never more than twice as many.

    Args:
        frames: origin and picture, BGR.
        limit: most that are kept.
    """
    kept: list[tuple[str, NDArray[np.uint8]]] = []
    every = 1
    for number, (origin, bgr) in enumerate(frames):
        if number % every:
            continue
        _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        kept.append((origin, np.asarray(data, dtype=np.uint8)))
        if len(kept) > 2 * limit:
            kept, every = kept[::2], 2 * every
    if len(kept) <= limit:
        return kept
    return [kept[i] for i in np.linspace(0, len(kept) - 1, limit).round().astype(int)]


def _frames(container: InputContainer) -> Iterator[av.VideoFrame]:
    """Frames of the first video stream, whose times go on where its clock starts anew."""
    move = Continuity()
    for packet in container.demux(container.streams.video[0]):
        move(packet)
        yield from packet.decode()


def _distinct(path: Path, interval: float) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Origin and picture, upright and BGR, of the frames that differ from the one before."""
    turn: Orientation | None = None
    last_time = -float("inf")
    last_thumbnail: NDArray[np.float32] | None = None
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path}: has no video stream.")
            container.streams.video[0].thread_type = "AUTO"
            for number, frame in enumerate(_frames(container)):
                time = frame.time if frame.time is not None else float(number)
                if time - last_time < interval - 1e-6:
                    continue
                turn = turn or Orientation.of(frame, str(path))
                bgr = turn.apply(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))
                thumbnail = cv2.resize(
                    cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), _THUMBNAIL, interpolation=cv2.INTER_AREA
                ).astype(np.float32)
                if _nearly_same(thumbnail, last_thumbnail):
                    continue
                last_time, last_thumbnail = time, thumbnail
                yield f"{path}@{time:.3f}s", bgr
    except (av.FFmpegError, OSError) as error:
        raise InputError(f"{path}: not a readable video ({system_reason(error)}).") from error
