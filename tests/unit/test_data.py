from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cfcontra.datasets import open_dataset
from cfcontra.label_space import LABEL_SPACES
from cfcontra.preprocessing import Preprocessing
from cfcontra.train import data
from cfcontra.train.augmentation import augment
from cfcontra.train.data import PairedDomains, PairedLoading, kept_in_memory, loader_workers
from cfcontra.train.settings import DataSettings, LightSettings

SPACE = LABEL_SPACES["camvid11"]
SETTINGS = DataSettings((32, 48), batch_size=2, scale=(1.0, 1.5))
LIGHT = LightSettings(jitter=0.3, gamma=0.3, blur=0.5)


@pytest.fixture
def domains(tmp_path: Path, make_folder: Callable[..., Path]) -> PairedDomains:
    source = open_dataset(f"folder:{make_folder(tmp_path / 's', frames=5)}", SPACE)
    target = open_dataset(
        f"folder:{make_folder(tmp_path / 't', frames=3, labelled=False, seed=9)}",
        SPACE,
        labelled=False,
    )
    return PairedDomains(source, target, SETTINGS, LIGHT, Preprocessing((32, 48)), seed=1)


@pytest.mark.parametrize(("cores", "expected"), [(1, 1), (6, 6), (64, 8)])
def test_workers_left_open_follow_the_device_and_the_cores_that_may_be_used(
    monkeypatch: pytest.MonkeyPatch, cores: int, expected: int
) -> None:
    monkeypatch.setattr(data, "available_cores", lambda: cores)
    assert loader_workers(None, torch.device("cpu")) == 0
    assert loader_workers(None, torch.device("cuda")) == expected
    assert loader_workers(3, torch.device("cpu")) == 3


def test_processes_share_out_the_room_for_frames(
    domains: PairedDomains, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = domains.source[0]
    assert frame.label is not None
    monkeypatch.setattr(data, "_ROOM", 4 * (frame.image.nbytes + frame.label.nbytes))
    for processes, room in ((1, 4), (2, 2), (8, 0)):
        cached = kept_in_memory(domains.source, processes)
        kept = [cached[number] is cached[number] for number in range(5)]
        assert kept == [True] * room + [False] * (5 - room)


def test_a_step_is_the_same_in_any_process_and_order(domains: PairedDomains) -> None:
    direct = [domains[step] for step in (4, 3, 5)]
    for workers in (0, 2):
        loaded = list(PairedLoading(domains, 3, 6, workers).train_dataloader())
        for batch, step in zip(loaded, (3, 4, 5), strict=True):
            again = direct[{4: 0, 3: 1, 5: 2}[step]]
            assert torch.equal(batch.source.images, again.source.images)
            assert torch.equal(batch.source.labels, again.source.labels)
            assert batch.target is not None and again.target is not None
            assert torch.equal(batch.target.images, again.target.images)


def test_each_pass_uses_every_frame_once(domains: PairedDomains) -> None:
    origins = [o for step in range(5) for o in domains[step].source.origins]
    assert len(set(origins[:5])) == 5 and len(set(origins[5:])) == 5
    assert origins[:5] != origins[5:]


def test_processes_of_one_step_share_out_the_frames(
    tmp_path: Path, make_folder: Callable[..., Path]
) -> None:
    source = open_dataset(f"folder:{make_folder(tmp_path / 's', frames=8)}", SPACE)
    whole = PairedDomains(
        source, None, replace(SETTINGS, batch_size=4), LIGHT, Preprocessing((32, 48)), 1
    )[1]
    alone = PairedDomains(source, None, SETTINGS, LIGHT, Preprocessing((32, 48)), 1)
    parts = [alone.for_process(rank, 2)[1] for rank in (0, 1)]
    assert torch.equal(whole.source.images, torch.cat([p.source.images for p in parts]))


def test_target_batches_carry_no_classes(domains: PairedDomains) -> None:
    target = domains[0].target
    assert target is not None
    assert set(target.labels.unique().tolist()) <= {0, 255}


def test_without_randomness_training_sees_what_evaluation_sees() -> None:
    """The frame in the working size is the reference letterbox, up to 8-bit rounding."""
    from cfcontra.runtime.torch_backend import letterbox

    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, size=(37, 91, 3), dtype=np.uint8)
    label = rng.integers(0, 11, size=(37, 91), dtype=np.uint8)
    preprocessing = Preprocessing((32, 48))
    settings = DataSettings((32, 48), flip=False)
    pixels, ids = augment(image, label, settings, LightSettings(), preprocessing, rng)
    mean = torch.tensor(preprocessing.mean).view(3, 1, 1)
    std = torch.tensor(preprocessing.std).view(3, 1, 1)
    ours = (pixels.float() / 255 - mean) / std
    reference = letterbox(torch.from_numpy(image)[None], preprocessing)[0]
    assert float((ours - reference).abs().max()) <= 1.01 / 255 / min(preprocessing.std)
    height, width = preprocessing.scaled_size(37, 91)
    assert bool((ids[height:] == 255).all()) and bool((ids[:, width:] == 255).all())
    expected = F.interpolate(
        torch.from_numpy(label)[None, None].float(), size=(height, width), mode="nearest-exact"
    )
    assert torch.equal(ids[:height, :width].float(), expected[0, 0])


def test_mirroring_mirrors_both() -> None:
    image = np.zeros((32, 48, 3), np.uint8)
    image[:, :24] = 200
    label = (image[..., 0] > 0).astype(np.uint8)
    for seed in range(6):
        pixels, ids = augment(
            image, label, DataSettings((32, 48)), LightSettings(), Preprocessing((32, 48)),
            np.random.default_rng(seed),
        )  # fmt: skip
        assert torch.equal((pixels[0] > 0).byte(), ids)
