"""Frames in batches, and the buffers they lie in."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
import torch

from cfcontra.serve.video.batches import Batcher
from cfcontra.serve.video.color import BT709
from cfcontra.serve.video.picture import planes
from cfcontra.serve.video.source import Frame, VideoFormat

FORM = VideoFormat(64, 48, Fraction(25), Fraction(1, 25), BT709)


def grey(number: int) -> Frame:
    image = av.VideoFrame(64, 48, "yuv420p")
    for index, plane in enumerate(planes(image)):
        plane[:] = 40 + 10 * number if index == 0 else 128
    BT709.tag(image)
    image.pts, image.time_base = number, FORM.time_base
    return Frame(number, image)


@pytest.fixture
def page_locked(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """The tensors that were asked for in pinned memory, which without a GPU is ordinary memory."""
    made: list[torch.Tensor] = []
    empty = torch.empty

    def stand_in(shape: tuple[int, ...], *, dtype: torch.dtype, pin_memory: bool) -> Any:
        assert pin_memory
        made.append(empty(shape, dtype=dtype))
        return made[-1]

    monkeypatch.setattr(torch, "empty", stand_in)
    return made


def test_pinned_buffers_hold_the_frames_and_are_used_again(page_locked: list[torch.Tensor]) -> None:
    batcher = Batcher(FORM, 2, pinned=True)
    seen: list[int] = []
    for batch in batcher(map(grey, range(9))):
        owners = [made for made in page_locked if np.shares_memory(made.numpy(), batch.images)]
        assert len(owners) == 1
        levels = batch.images[..., 1].reshape(len(batch.frames), -1)
        assert (levels.min(axis=1) == levels.max(axis=1)).all()
        seen += levels[:, 0].tolist()
        batcher.give_back(batch)
    expected = [(40 + 10 * number - 16) * 255 / 219 for number in range(9)]
    assert seen == pytest.approx(expected, abs=1.5)
    assert len(page_locked) <= 2
    assert all(made.shape == (2, 48, 64, 3) for made in page_locked)


def test_what_is_not_given_back_is_not_written_over(page_locked: list[torch.Tensor]) -> None:
    batches = list(Batcher(FORM, 2, pinned=True)(map(grey, range(6))))
    firsts = [int(batch.images[0, 0, 0, 1]) for batch in batches]
    assert firsts == sorted(set(firsts))
    assert len(page_locked) >= 3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_the_memory_is_page_locked() -> None:
    (batch,) = Batcher(FORM, 1, pinned=True)([grey(0)])
    assert torch.from_numpy(batch.images).is_pinned()
