"""Which frames are kept: unsure ones, different ones, and as many as asked for."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cfcontra.datasets import open_dataset
from cfcontra.errors import InputError
from cfcontra.label_space import LABEL_SPACES
from cfcontra.metadata import ModelMetadata
from cfcontra.preprocessing import Preprocessing
from cfcontra.serve.video.descriptor import describe
from cfcontra.serve.video.frame_pool import SAME, Candidate, FramePool, ScoreStatistics
from cfcontra.serve.video.hard_frames import HardFrames
from cfcontra.serve.video.picture import planes
from cfcontra.serve.video.sink import Segmented
from cfcontra.serve.video.source import Frame

SIZE = (48, 64)
METADATA = ModelMetadata(LABEL_SPACES["camvid11"], Preprocessing((64, 96)), {})


def candidate(scores: list[float], place: list[float]) -> Candidate:
    return Candidate(np.array(scores), np.array(place, np.float32), {})


def fill(pool: FramePool, candidates: list[Candidate]) -> None:
    for number, one in enumerate(candidates):
        pool.statistics.add(one.scores)
        pool.offer(one, lambda n=number: str(n))  # type: ignore[misc]


def test_statistics_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(3, 2, (500, 3))
    statistics = ScoreStatistics()
    for row in scores:
        statistics.add(row)
    np.testing.assert_allclose(statistics.mean, scores.mean(axis=0))
    np.testing.assert_allclose(statistics.squares / 500, scores.var(axis=0))
    standard = (scores - scores.mean(axis=0)) / scores.std(axis=0)
    expected = np.exp((3 * np.tanh(standard / 3)).mean(axis=1))
    np.testing.assert_allclose(statistics.utility(scores), expected)


def test_selection_is_greedy_k_center_with_weights() -> None:
    rng = np.random.default_rng(1)
    candidates = [candidate([s], list(rng.random(2))) for s in rng.random(40)]
    pool = FramePool(6)
    fill(pool, candidates)
    utility = pool.statistics.utility(np.array([c.scores for c in candidates]))
    places = np.array([c.descriptor for c in candidates])
    # The same in plain loops.
    chosen = [int(utility.argmax())]
    while len(chosen) < 6:
        values = [
            u * min(float(np.linalg.norm(p - places[c])) for c in chosen)
            for u, p in zip(utility, places, strict=True)
        ]
        chosen.append(int(np.argmax(values)))
    assert [c.key for c, _, _ in pool.select()] == [str(n) for n in chosen]


def test_of_frames_that_show_the_same_the_least_sure_stays() -> None:
    pool = FramePool(5)
    near = SAME / 4
    fill(pool, [candidate([0.1], [0, 0]), candidate([0.9], [near, 0]), candidate([0.5], [0, near])])
    assert len(pool) == 1
    (kept,) = pool
    assert kept.scores[0] == 0.9
    fill(pool, [candidate([0.2], [1, 0])])
    assert len(pool.select()) == 2


def test_a_full_pool_gives_up_what_is_replaced_best_and_says_so() -> None:
    gone: list[str] = []
    pool = FramePool(4, gone.append)
    capacity = pool._capacity
    rng = np.random.default_rng(2)
    candidates = [candidate([float(rng.random())], list(rng.random(3))) for _ in range(600)]
    fill(pool, candidates)
    assert len(pool) == capacity
    held = {one.key for one in pool}
    assert held.isdisjoint(gone)
    # What is held is less sure than the average, and as spread out as all of it.
    assert np.mean([one.scores[0] for one in pool]) > 0.6
    places = np.array([one.descriptor for one in pool])
    assert np.all(places.min(axis=0) < 0.2)
    assert np.all(places.max(axis=0) > 0.8)


def plain_least(pool: list[Candidate], statistics: ScoreStatistics, room: int) -> int | None:
    """Which candidate should go, by its definition: every pair is looked at."""
    utility = statistics.utility(np.array([one.scores for one in pool]))
    places = np.array([one.descriptor for one in pool])
    apart = []
    for number, place in enumerate(places):
        better = [n for n, u in enumerate(utility) if (-u, n) < (-utility[number], number)]
        distances = np.linalg.norm(places[better] - place, axis=1)
        apart.append(float(distances.min(initial=np.inf)))
    same = [number for number, distance in enumerate(apart) if distance < SAME]
    if same:
        return same[0]
    return int((utility * apart).argmin()) if len(pool) > room else None


@pytest.mark.parametrize("steps", [3, 7, 1000])  # few steps: ties of scores and of distances
def test_a_pool_gives_up_what_its_definition_says(steps: int) -> None:
    pool, rng = FramePool(4), np.random.default_rng(steps)
    expected: list[Candidate] = []
    gone: set[int] = set()
    for _ in range(160):
        scores, place = (np.round(rng.random(size) * steps) / steps for size in (2, 4))
        one = candidate(list(scores), list(place + rng.choice([0.0, 0.015], 4)))
        pool.statistics.add(one.scores)
        expected.append(one)
        leaves = plain_least(expected, pool.statistics, pool._capacity)
        taken = pool.offer(one, lambda: "kept")
        assert taken == (leaves != len(expected) - 1)
        if leaves is not None:
            gone.add(leaves)
            del expected[leaves]
        assert list(map(id, pool)) == list(map(id, expected))
    assert len(gone) > 10


def scene(seed: int) -> av.VideoFrame:
    """A picture of coarse random blocks."""
    rng = np.random.default_rng(seed)
    frame = av.VideoFrame(SIZE[1], SIZE[0], "yuv420p")
    for index, plane in enumerate(planes(frame)):
        blocks = rng.integers(40, 220, (4, 4), dtype=np.uint8)
        plane[:] = 128 if index else cv2.resize(blocks, plane.shape[::-1], interpolation=0)
    return frame


def seen(
    number: int,
    image: av.VideoFrame,
    confidence: int,
    scores: list[float] | None = None,
    train_id: int = 0,
) -> Segmented:
    image.pts, image.time_base = number, Fraction(1, 25)
    mask: NDArray[np.uint8] = np.full(SIZE, train_id, np.uint8)
    given = None if scores is None else np.array(scores, np.float32)
    return Segmented(Frame(number, image), mask, np.full(SIZE, confidence, np.uint8), given)


def test_the_least_sure_moments_are_written_for_the_next_adaptation(tmp_path: Path) -> None:
    hard = HardFrames(tmp_path / "hard", 3, METADATA)
    unsure = {3, 10, 17}  # scenes
    for drive in ("monday", "tuesday"):
        hard.begin(f"drives/{drive}.mp4")
        for number in range(20 * 10):
            place = number // 10 + (0 if drive == "monday" else 100)
            confidence = 90 if place in unsure else 230 - place % 5
            # The middle of each moment is the least sure.
            hard(seen(number, scene(place), confidence - (number % 10 == 5)))
    assert hard.finish() == 3
    manifest = json.loads((tmp_path / "hard" / "manifest.json").read_text())
    assert {entry["frame"] for entry in manifest["frames"]} == {35, 105, 175}
    assert {entry["source"] for entry in manifest["frames"]} == {"drives/monday.mp4"}
    assert manifest["seen"] == 400
    assert manifest["scores"] == ["confidence"]
    assert not list((tmp_path / "hard").glob(".*"))
    spec = f"folder:{tmp_path / 'hard'}"
    dataset = open_dataset(spec, LABEL_SPACES["camvid11"], labelled=False)
    assert len(dataset) == 3
    for entry in manifest["frames"]:
        kept = cv2.imread(str(tmp_path / "hard" / entry["file"]), cv2.IMREAD_GRAYSCALE)
        np.testing.assert_allclose(kept, expected_grey(scene(entry["frame"] // 10)), atol=12)


def expected_grey(frame: av.VideoFrame) -> NDArray[np.uint8]:
    return np.asarray(frame.to_ndarray(format="gray"), dtype=np.uint8)


def test_scores_of_the_model_file_are_used_where_it_has_them(tmp_path: Path) -> None:
    hard = HardFrames(tmp_path / "hard", 1, METADATA)
    hard.begin("drive.mp4")
    for number in range(10):
        # The maps are all alike; entropy and distance speak for frame 6.
        odd = number == 6
        hard(seen(50 * number, scene(number), 200, [0.8, 0.9 if odd else 0.2, 0.7 if odd else 0.1]))
    hard.finish()
    manifest = json.loads((tmp_path / "hard" / "manifest.json").read_text())
    assert [entry["frame"] for entry in manifest["frames"]] == [300]
    assert manifest["scores"] == ["confidence", "entropy", "distance"]


def test_frames_without_anything_on_them_and_carried_masks_are_passed_over(tmp_path: Path) -> None:
    from dataclasses import replace

    hard = HardFrames(tmp_path / "hard", 5, METADATA)
    hard.begin("drive.mp4")
    black = av.VideoFrame(SIZE[1], SIZE[0], "yuv420p")
    for plane in planes(black):
        plane[:] = 16
    hard(seen(0, black, 10))
    hard(replace(seen(1, scene(1), 10), carried=True))
    hard(seen(100, scene(2), 200))
    assert hard.finish() == 1


def test_memory_and_disk_are_bounded_whatever_the_length(tmp_path: Path) -> None:
    hard = HardFrames(tmp_path / "hard", 2, METADATA)
    hard.begin("drive.mp4")
    most = 0
    for number in range(200):
        hard(seen(60 * number, scene(number), 100 + number % 100))
        if number % 20 == 19:
            most = max(most, sum(1 for _ in (tmp_path / "hard").rglob("*")))
    assert 64 <= most <= 64 + 2  # the folder of the candidates, and its lock
    assert hard.finish() == 2


def test_frames_of_an_earlier_job_are_not_lost_by_mistake(tmp_path: Path) -> None:
    for _ in range(2):
        hard = HardFrames(tmp_path, 2, METADATA, overwrite=True)
        hard.begin("drive.mp4")
        for number in range(3):
            hard(seen(60 * number, scene(number), 100))
        assert hard.finish() == 2
    with pytest.raises(InputError, match="--overwrite"):
        HardFrames(tmp_path, 2, METADATA)
    with pytest.raises(InputError, match="--budget"):
        HardFrames(tmp_path / "new", 0, METADATA)


def test_a_job_that_is_interrupted_before_its_first_frame_leaves_the_folder_free(
    tmp_path: Path,
) -> None:
    for _ in range(2):
        hard = HardFrames(tmp_path, 2, METADATA)
        hard.begin("drive.mp4")
        assert hard.finish(complete=False) == 0
        assert list(tmp_path.iterdir()) == []
    hard = HardFrames(tmp_path, 2, METADATA)
    assert hard.finish() == 0  # a job that saw all and found none has been done
    assert json.loads((tmp_path / "manifest.json").read_text())["frames"] == []


def test_descriptors_tell_pictures_and_masks_apart() -> None:
    mask: NDArray[np.uint8] = np.zeros(SIZE, np.uint8)
    other: NDArray[np.uint8] = np.full(SIZE, 3, np.uint8)
    one = describe(scene(1), mask, 11)
    np.testing.assert_array_equal(one, describe(scene(1), mask, 11))
    assert np.linalg.norm(one - describe(scene(1), other, 11)) == pytest.approx(np.sqrt(2))
    distances = [
        np.linalg.norm(describe(scene(a), mask, 11) - describe(scene(b), mask, 11))
        for a, b in itertools.combinations(range(4), 2)
    ]
    assert min(distances) > 2 * SAME
