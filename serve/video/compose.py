"""Drawing a result as a picture: overlay, source and overlay side by side, or the mask alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import av
import numpy as np
from numpy.typing import NDArray

from cfcontra.label_space import LabelSpace

from .overlay import YuvOverlay, pad_to_even
from .picture import planes
from .source import VideoFormat


class Overlay:
    """Class colours over the frame.

    Args:
        label_space: classes and their colours.
        opacity: share of the class colours, 0–1.
        form: of the frames that come in.

    Attributes:
        form: of the pictures that go out, before odd sizes are padded to even.
    """

    def __init__(self, label_space: LabelSpace, opacity: float, form: VideoFormat) -> None:
        self.form = form
        self._overlay = YuvOverlay(label_space, opacity, form.color)

    def __call__(self, image: av.VideoFrame, mask: NDArray[np.uint8]) -> av.VideoFrame:
        """A new picture with the times of the frame.

        Args:
            image: planar 4:2:0 `[H, W]`.
            mask: train ids `[H, W]`.
        """
        return self._overlay(image, mask)


class MaskOnly(Overlay):
    """Class colours without the frame."""

    def __init__(self, label_space: LabelSpace, opacity: float, form: VideoFormat) -> None:
        super().__init__(label_space, 1.0, form)


class SideBySide(Overlay):
    """The frame on the left, the overlay on the right."""

    def __init__(self, label_space: LabelSpace, opacity: float, form: VideoFormat) -> None:
        super().__init__(label_space, opacity, form)
        self.form = replace(form, width=2 * (form.width + form.width % 2))

    def __call__(self, image: av.VideoFrame, mask: NDArray[np.uint8]) -> av.VideoFrame:
        height = self.form.height + self.form.height % 2
        picture = av.VideoFrame(self.form.width, height, "yuv420p")
        for index, (source, target) in enumerate(zip(planes(image), planes(picture), strict=True)):
            half = target.shape[1] // 2
            target[: source.shape[0], : source.shape[1]] = source
            pad_to_even(target[:, :half], *source.shape)
            self._overlay.blend(index, source, mask, target[:, half:])
        return self._overlay.stamp(picture, image)


COMPOSERS: dict[str, Callable[[LabelSpace, float, VideoFormat], Overlay]] = {
    "overlay": Overlay,
    "side-by-side": SideBySide,
    "mask": MaskOnly,
}
"""Kinds of pictures by their names in `--write`."""
