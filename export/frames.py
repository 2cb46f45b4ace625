"""The frames an export is certified on."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from cfcontra.datasets.base import Sample, SegmentationDataset
from cfcontra.datasets.spec import open_dataset
from cfcontra.errors import InputError, LabelSpaceError, UnlabelledError
from cfcontra.interface import Interface
from cfcontra.label_space import LabelSpace
from cfcontra.opencv import cv2

SYNTHETIC_SPECS = ("streets:noon,split=val", "streets:dusk,split=val")
"""Used where no frames are given."""

LOGGER = logging.getLogger(__name__)


def load_frames(
    specs: Sequence[str],
    count: int,
    label_space: LabelSpace,
    labelled: bool = True,
    option: str = "--certify-frames",
) -> list[Sample]:
    """Read `count` frames, spread evenly over the data; with labels where they fit.

    Args:
        specs: data specs; each gives an equal share.
        count: how many frames at most.
        label_space: the model's label space.
        labelled: False never opens a label.
        option: by which the user set the count.

    Raises:
        InputError: a count below one or below that of the specs, a spec that names no usable
            frames, or labels that are damaged.
    """
    if count < 1:
        raise InputError(f"{option} {count}: give 1 or more.")
    if count < len(specs):
        raise InputError(
            f"{option} {count}: not every one of {len(specs)} specs would give a frame. Give "
            f"{len(specs)} or more, or fewer specs."
        )
    open_spec = _open if labelled else _open_unlabelled
    samples: list[Sample] = []
    for index, spec in enumerate(specs):
        share = count // len(specs) + (index < count % len(specs))
        samples += _spread(open_spec(spec, label_space), share)
    return samples


def specs_or_synthetic(specs: Sequence[str] | None, count: int) -> Sequence[str]:
    """The specs given, or those of generated streets, of which `count` frames are wanted."""
    return SYNTHETIC_SPECS[: max(1, count)] if specs is None else specs


def frames_sha256(samples: Sequence[Sample]) -> str:
    """What tells these frames and their labels, in this order, from others."""
    digest = hashlib.sha256()
    for sample in samples:
        for values in (sample.image, sample.label):
            digest.update(repr(None if values is None else values.shape).encode())
            if values is not None:
                digest.update(values.tobytes())
    return digest.hexdigest()


def is_synthetic(specs: Sequence[str]) -> bool:
    """Whether all frames are generated streets."""
    return all(spec.startswith("streets:") for spec in specs)


def at_sizes(
    samples: Sequence[Sample], work_size: tuple[int, int], interface: Interface
) -> Iterator[tuple[str, int, list[Sample]]]:
    """The frames at their own size one by one, and in batches at an odd and the working size.

    Only those at their own size keep their labels. A file of a fixed size is shown that one
    alone, with labels; one of a fixed batch is shown frames by so many.

    Yields:
        What the size is called, how many frames to run at once, and the frames.
    """
    if interface.size is not None:
        fixed = [_resized(sample, interface.size, labelled=True) for sample in samples]
        yield _text(interface.size), interface.batch or 1, fixed
        return
    height, width = samples[0].image.shape[:2]
    odd = (max(1, height * 3 // 5) | 1, max(1, width * 2 // 3) | 1)
    own = {sample.image.shape[:2] for sample in samples}
    # Frames of several sizes do not stack, whatever batch the file takes.
    batch = (interface.batch or 1) if len(own) == 1 else 1
    yield _text((height, width)) if len(own) == 1 else "own sizes", batch, list(samples)
    # One frame is joined by its mirror image, so that batches hold different frames.
    several = list(samples) if len(samples) > 1 else [samples[0], _mirrored(samples[0])]
    for size, several_at_once in ((odd, min(3, len(several))), (work_size, 2)):
        yield (
            _text(size),
            interface.batch or several_at_once,
            [_resized(sample, size) for sample in several],
        )


def _spread(dataset: SegmentationDataset, count: int) -> list[Sample]:
    indices = np.unique(np.linspace(0, len(dataset) - 1, count).round().astype(int))
    return [dataset[int(index)] for index in indices]


def _open(spec: str, label_space: LabelSpace) -> SegmentationDataset:
    """With labels, unless the data has none or they are of other classes."""
    try:
        return open_dataset(spec, label_space)
    except (UnlabelledError, LabelSpaceError) as error:
        dataset = _open_unlabelled(spec, label_space)
        # Generated streets are looked at whatever a model's classes are.
        expected = isinstance(error, UnlabelledError) or is_synthetic([spec])
        level = logging.DEBUG if expected else logging.WARNING
        LOGGER.log(level, "mIoU is not measured: %s", error)
        return dataset


def _open_unlabelled(spec: str, label_space: LabelSpace) -> SegmentationDataset:
    try:
        return open_dataset(spec, label_space, labelled=False)
    except InputError as error:
        try:  # generated streets have a label space of their own, which need not fit here
            return open_dataset(spec, None, labelled=False)
        except InputError:
            raise error from None


def _text(size: tuple[int, ...]) -> str:
    return f"{size[0]}x{size[1]}"


def _mirrored(sample: Sample) -> Sample:
    return replace(sample, image=sample.image[:, ::-1], label=None)


def _resized(sample: Sample, size: tuple[int, int], labelled: bool = False) -> Sample:
    image = cv2.resize(sample.image, size[::-1], interpolation=cv2.INTER_AREA)
    resized = replace(sample, image=np.asarray(image, dtype=np.uint8), label=None)
    if not labelled or sample.label is None:
        return resized
    label = cv2.resize(sample.label, size[::-1], interpolation=cv2.INTER_NEAREST)
    return replace(resized, label=np.asarray(label, dtype=np.uint8))
