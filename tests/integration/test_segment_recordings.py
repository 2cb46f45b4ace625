"""Recordings of what comes but once: an error ends them, and leaves what there is."""

from __future__ import annotations

import json
import resource
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from video_clips import FRAMES, GreyBackend, greys_of, level, make_clip

from cfcontra.errors import InputError
from cfcontra.serve.video.outputs import make_sinks
from cfcontra.serve.video.pipeline import StoppedError
from cfcontra.serve.video.reader import VideoReader
from cfcontra.serve.video.segment import segment
from cfcontra.serve.video.sink import Context, Segmented, Sink
from cfcontra.serve.video.source import Source

pytestmark = pytest.mark.timeout(60)


class Hook(Sink):
    """Calls something with its n-th frame."""

    name = "hook"

    def __init__(self, number: int, action: Callable[[], None]) -> None:
        self._left, self._action = number, action

    def open(self, context: Context) -> None: ...

    def write(self, result: Segmented) -> None:
        self._left -= 1
        if not self._left:
            self._action()

    def finish(self) -> None: ...

    def discard(self) -> None: ...


def fail() -> None:
    raise InputError("no room")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "a.mp4")


def once(clip: Path) -> Source:
    source = VideoReader(clip, 1)
    source.resumable = False
    return source


def sinks(folder: Path, *kinds: str) -> list[Sink]:
    names = {"overlay": "a.mp4", "jsonl": "a.jsonl", "png": "a"}
    return make_sinks({kind: folder / names[kind] for kind in kinds}, opacity=0.0)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_error_leaves_what_was_recorded(
    clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for turn in ("", "-2"):  # the same call again takes nothing away
        with pytest.raises(InputError, match="no room"):
            segment(
                once(clip),
                [*sinks(tmp_path, "overlay", "jsonl", "png"), Hook(20, fail)],
                GreyBackend(),
            )
        place = tmp_path / f"a.mp4.unfinished{turn}"
        [said] = [record for record in caplog.records if record.args and record.args[0] == place]
        assert said.levelname == "ERROR"
        assert names(place) == ["a-000000.mp4", "masks", "masks.jsonl"]
        greys = greys_of(place / "a-000000.mp4")
        assert len(greys) >= 15  # some of the twenty may still wait in its queue
        assert greys == pytest.approx([level(n) for n in range(len(greys))], abs=4)
        lines = (place / "masks.jsonl").read_text().splitlines()
        assert [json.loads(line)["frame"] for line in lines[1:]] == list(range(len(lines) - 1))
        assert len(lines) >= 16
        assert len(names(place / "masks")) >= 15
    assert names(tmp_path) == ["a.mp4.unfinished", "a.mp4.unfinished-2"]


def test_a_full_disk_leaves_what_has_found_room(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), np.uint8)
    clip = make_clip(
        tmp_path / "a.mp4",
        times=[1001 * n for n in range(60)],
        picture=lambda number, _: noise[number],
    )
    out = tmp_path / "out"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
    try:
        with pytest.raises(InputError, match=r"cannot be written \(File too large\)"):
            segment(once(clip), sinks(out, "overlay"), GreyBackend())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(out) == ["a.mp4.unfinished"]
    with VideoReader(out / "a.mp4.unfinished" / "a-000000.mp4", 1) as left:  # the last is cut off
        assert 10 < sum(1 for _ in left) < 60


def test_what_can_be_read_again_or_was_stopped_leaves_nothing(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        segment(VideoReader(clip), [*sinks(tmp_path, "overlay"), Hook(20, fail)], GreyBackend())
    stop = threading.Event()
    waiting = [*sinks(tmp_path, "overlay"), Hook(5, stop.set)]
    with pytest.raises(StoppedError):
        segment(
            once(clip), waiting, GreyBackend(), stop=stop, observers=[lambda _: stop.wait(0.05)]
        )
    assert names(tmp_path) == []


def test_what_a_killed_recording_has_left_is_set_aside(
    clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    part = tmp_path / ".a.mp4.part"
    part.mkdir()
    (part / "lock").touch()
    (part / "a-000000.mp4").write_bytes(clip.read_bytes())
    segment(once(clip), sinks(tmp_path, "overlay"), GreyBackend())
    assert names(tmp_path) == ["a.mp4", "a.mp4.unfinished"]
    assert (tmp_path / "a.mp4.unfinished" / "a-000000.mp4").read_bytes() == clip.read_bytes()
    assert "a.mp4.unfinished: holds what an earlier recording has left" in caplog.text
    assert len(greys_of(tmp_path / "a.mp4")) == FRAMES


@pytest.mark.parametrize("others", [("jsonl", "overlay"), ("jsonl",)])
def test_a_result_is_written_once_at_a_time_in_whatever_order_it_is_named(
    clip: Path, tmp_path: Path, others: tuple[str, ...]
) -> None:
    refused: list[str] = []

    def begin_another() -> None:
        with pytest.raises(InputError, match="another process is writing this result") as caught:
            segment(VideoReader(clip), sinks(tmp_path, *others), GreyBackend())
        refused.append(str(caught.value))

    both = sinks(tmp_path, "overlay", "jsonl")
    segment(VideoReader(clip), [*both, Hook(3, begin_another)], GreyBackend())
    assert len(refused) == 1
    assert names(tmp_path) == ["a.jsonl", "a.mp4"]
