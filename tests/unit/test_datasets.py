from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from cfcontra.datasets import open_dataset, video
from cfcontra.errors import InputError
from cfcontra.label_space import LABEL_SPACES

CAMVID = LABEL_SPACES["camvid11"]
MakeFolder = Callable[..., Path]


def test_folder_pairs_image_and_label(tmp_path: Path, make_folder: MakeFolder) -> None:
    dataset = open_dataset(f"folder:{make_folder(tmp_path / 'd')}", CAMVID)
    assert len(dataset) == 3
    sample = dataset[1]
    assert sample.label is not None
    assert np.array_equal(sample.image, CAMVID.palette()[sample.label])  # RGB, not BGR
    assert sample.origin.endswith("001.png")


def test_unlabelled_folder_never_opens_a_label(
    tmp_path: Path, make_folder: MakeFolder, opened_files: list[str]
) -> None:
    root = make_folder(tmp_path / "d")
    opened_files.clear()
    dataset = open_dataset(f"folder:{root}", CAMVID, labelled=False)
    samples = [dataset[i] for i in range(len(dataset))]
    assert all(sample.label is None for sample in samples)
    assert any("images" in name for name in opened_files)
    assert not any("labels" in name for name in opened_files)


def test_frames_take_a_slice(tmp_path: Path, make_folder: MakeFolder) -> None:
    root = make_folder(tmp_path / "d", frames=6)
    dataset = open_dataset(f"folder:{root},frames=1:6:2", CAMVID)
    assert [Path(dataset[i].origin).stem for i in range(len(dataset))] == ["001", "003", "005"]
    with pytest.raises(InputError, match="empty"):
        open_dataset(f"folder:{root},frames=9:", CAMVID)
    with pytest.raises(InputError, match="START:STOP"):
        open_dataset(f"folder:{root},frames=abc", CAMVID)


def test_own_label_space_of_a_folder_is_mapped_or_refused(
    tmp_path: Path, make_folder: MakeFolder
) -> None:
    import yaml

    root = make_folder(tmp_path / "d", space="cityscapes19")
    nineteen = LABEL_SPACES["cityscapes19"]
    (root / "label_space.yaml").write_text(yaml.safe_dump(nineteen.to_dict()))
    sixteen = LABEL_SPACES["cityscapes16"]
    mapped = open_dataset(f"folder:{root}", sixteen)[0].label
    native = open_dataset(f"folder:{root}", nineteen)[0].label
    assert mapped is not None and native is not None
    assert np.array_equal(mapped, sixteen.mapping_from(nineteen)[native])
    with pytest.raises(InputError, match="Label spaces 'cityscapes19' and 'camvid11' differ"):
        open_dataset(f"folder:{root}", CAMVID)


def _break_missing_label(root: Path) -> None:
    (root / "labels" / "001.png").unlink()


def _break_sizes(root: Path) -> None:
    cv2.imwrite(str(root / "labels" / "000.png"), np.zeros((5, 5), np.uint8))


def _break_id(root: Path) -> None:
    cv2.imwrite(str(root / "labels" / "000.png"), np.full((40, 60), 99, np.uint8))


def _break_color_label(root: Path) -> None:
    cv2.imwrite(str(root / "labels" / "000.png"), np.zeros((40, 60, 3), np.uint8))


def _break_image(root: Path) -> None:
    (root / "images" / "000.png").write_bytes(b"not a picture")


def _break_empty_image(root: Path) -> None:
    (root / "images" / "000.png").write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_break_missing_label, r"001\.png: has no label .*1 of 3"),
        (_break_sizes, "5×5 but 000.png is 60×40"),
        (_break_id, "label id 99 is not part of label space 'camvid11'"),
        (_break_color_label, "one 8-bit channel"),
        (_break_image, "not a readable picture"),
        (_break_empty_image, "file is empty"),
    ],
)
def test_damaged_folder_is_named(
    tmp_path: Path, make_folder: MakeFolder, damage: Callable[[Path], None], message: str
) -> None:
    root = make_folder(tmp_path / "d")
    damage(root)
    with pytest.raises(InputError, match=message):
        open_dataset(f"folder:{root}", CAMVID)[0]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("folder:{tmp}/nowhere", "no such folder"),
        ("folder:{tmp}", "no images/ folder"),
        ("folders:{tmp}", "Did you mean 'folder'"),
        ("{tmp}", "say what it is"),
        ("folder:", "nothing behind"),
        ("folder:{tmp}/d,wrong=1", "unknown option 'wrong'"),
        ("video:{tmp}/*.mp4", "nothing matches"),
    ],
)
def test_bad_specs(tmp_path: Path, make_folder: MakeFolder, spec: str, message: str) -> None:
    make_folder(tmp_path / "d")
    labelled = not spec.startswith("video")
    with pytest.raises(InputError, match=message):
        open_dataset(spec.format(tmp=tmp_path), CAMVID, labelled=labelled)


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    with pytest.raises(InputError, match="holds no pictures"):
        open_dataset(f"folder:{tmp_path}", CAMVID)


def _write_clip(path: Path, values: list[int]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for value in values:
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), value, np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_video_leaves_out_near_duplicates_and_keeps_the_interval(tmp_path: Path) -> None:
    _write_clip(tmp_path / "a.mp4", [20] * 10 + [90] * 10 + [160] * 10)
    spec = f"video:{tmp_path}/*.mp4"
    distinct = open_dataset(f"{spec},interval=0", CAMVID, labelled=False)
    assert len(distinct) == 3
    brightness = [int(distinct[i].image.mean()) for i in range(3)]
    assert np.allclose(brightness, [20, 90, 160], atol=4)
    assert len(open_dataset(f"{spec},interval=1.5", CAMVID, labelled=False)) == 2


def test_video_ignore_region(tmp_path: Path) -> None:
    _write_clip(tmp_path / "a.mp4", [20, 200])
    sample = open_dataset(f"video:{tmp_path}/a.mp4,ignore=0.75:0:1:1", CAMVID, labelled=False)[0]
    assert sample.ignore is not None
    assert sample.ignore[36:].all() and not sample.ignore[:36].any()


@pytest.mark.parametrize(("degrees", "flip"), [(90, False), (180, False), (90, True)])
def test_video_is_upright(tmp_path: Path, degrees: int, flip: bool) -> None:
    """Degrees are counter-clockwise, as `np.rot90` counts; a region is one of the upright frame."""
    stored = np.full((32, 64, 3), 40, np.uint8)
    stored[:, :32], stored[:16, 32:] = (200, 20, 20), (20, 20, 200)
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        stream.set_display_rotation(degrees, hflip=flip)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(stored, "rgb24")))
        container.mux(stream.encode())
    spec = f"video:{tmp_path}/a.mp4,ignore=0.75:0:1:1"
    sample = open_dataset(spec, CAMVID, labelled=False)[0]
    expected = np.rot90(stored, degrees // 90)
    expected = expected[:, ::-1] if flip else expected
    assert sample.image.shape == expected.shape
    assert np.abs(sample.image.astype(int) - expected)[4::8, 4::8].max() < 16
    assert sample.ignore is not None
    kept = 3 * len(expected) // 4
    assert sample.ignore[kept:].all() and not sample.ignore[:kept].any()


@pytest.mark.parametrize(("count", "limit"), [(7, 4), (8, 4), (9, 4), (1000, 4), (999, 30), (5, 1)])
def test_a_video_never_has_more_than_twice_the_limit_in_memory(
    count: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[NDArray[np.uint8]]] = []
    most = 0

    def encoded(*_: object) -> tuple[bool, NDArray[np.uint8]]:
        data = np.zeros(3, np.uint8)
        held.append(weakref.ref(data))
        return True, data

    def frames() -> Iterator[tuple[str, NDArray[np.uint8]]]:
        nonlocal most
        for number in range(count):
            most = max(most, sum(one() is not None for one in held))
            yield str(number), np.zeros((2, 2, 3), np.uint8)

    monkeypatch.setattr(cv2, "imencode", encoded)
    chosen = [int(origin) for origin, _ in video._spread(frames(), limit)]
    assert len(chosen) == min(count, limit) and chosen[0] == 0
    assert most <= 2 * limit + 1
    if count <= 2 * limit:
        assert chosen == np.linspace(0, count - 1, limit).round().astype(int).tolist()
    gaps = np.diff([*chosen, count])
    assert gaps.max() <= 2 * np.diff(chosen).min(initial=count)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("ignore=0:0:1:1", "ignore covers the whole frame"),
        ("ignore=0:0:0.999:1", "ignore covers the whole frame"),  # 48 rows, rounded
        ("ignore=0:0:nan:1", "top:left:bottom:right"),
        ("ignore=0:0:inf:1", "top:left:bottom:right"),
        ("interval=nan", "interval=nan is not a finite number"),
        ("interval=inf", "interval=inf is not a finite number"),
        ("interval=-1", "interval must be"),
        ("limit=inf", "limit=inf is not a finite number"),
        ("limit=0", "limit"),
    ],
)
def test_video_options_that_leave_nothing(tmp_path: Path, options: str, message: str) -> None:
    _write_clip(tmp_path / "a.mp4", [20, 200])
    with pytest.raises(InputError, match=message):
        open_dataset(f"video:{tmp_path}/a.mp4,{options}", CAMVID, labelled=False)


def test_a_video_goes_on_where_its_clock_starts_anew(tmp_path: Path) -> None:
    """Two recordings put together byte by byte give the frames of both, each with its own time."""
    values = [(20, 90) * 10, (130, 220) * 10]
    for name, part in zip(("a.ts", "b.ts"), values, strict=True):
        _write_clip(tmp_path / name, list(part))
    joined = b"".join((tmp_path / name).read_bytes() for name in ("a.ts", "b.ts"))
    (tmp_path / "ab.ts").write_bytes(joined)
    frames = open_dataset(f"video:{tmp_path}/ab.ts,interval=0", CAMVID, labelled=False)
    found = [frames[index] for index in range(len(frames))]
    brightness = [float(frame.image.mean()) for frame in found]
    assert np.allclose(brightness, [*values[0], *values[1]], atol=4)
    times = [float(frame.origin.rpartition("@")[2].removesuffix("s")) for frame in found]
    assert np.allclose(np.diff(times), 0.1, atol=0.002)


def test_a_video_may_be_named_with_the_signs_of_a_pattern(tmp_path: Path) -> None:
    _write_clip(tmp_path / "clip [1].mp4", [20, 200])
    _write_clip(tmp_path / "clip 1.mp4", [20])
    for name, frames in (("clip [1].mp4", 2), ("clip ?.mp4", 1)):
        spec = f"video:{tmp_path}/{name},interval=0"
        assert len(open_dataset(spec, CAMVID, labelled=False)) == frames


def test_a_video_without_a_frame(tmp_path: Path) -> None:
    """A whole container, with a video stream that nothing was put into."""
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    with av.open(str(tmp_path / "a.avi")) as container:
        assert len(container.streams.video) == 1
    with pytest.raises(InputError, match=r"no usable frame in 1 file\(s\)"):
        open_dataset(f"video:{tmp_path}/a.avi", CAMVID, labelled=False)


def test_a_still_video_gives_one_frame(tmp_path: Path) -> None:
    _write_clip(tmp_path / "a.mp4", [90] * 6)
    assert len(open_dataset(f"video:{tmp_path}/a.mp4,interval=0", CAMVID, labelled=False)) == 1


def test_video_refuses_labels_and_non_videos(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video" * 100)
    with pytest.raises(InputError, match="no labels"):
        open_dataset(f"video:{tmp_path}/a.mp4", CAMVID)
    with pytest.raises(InputError, match="not a readable video"):
        open_dataset(f"video:{tmp_path}/a.mp4", CAMVID, labelled=False)


def test_cache_reads_each_frame_once_while_it_fits(tmp_path: Path, make_folder: MakeFolder) -> None:
    from cfcontra.datasets.cache import CachedDataset

    root = make_folder(tmp_path / "d")
    plain = open_dataset(f"folder:{root}", CAMVID)
    one_frame = plain[0].image.nbytes + plain[0].label.nbytes  # type: ignore[union-attr]
    cached = CachedDataset(plain, limit=2 * one_frame)
    first = [cached[i] for i in range(3)]
    assert [cached[i] is first[i] for i in range(3)] == [True, True, False]
    assert np.array_equal(cached[2].image, plain[2].image)
    assert len(cached) == 3 and cached.labelled and cached.label_space is CAMVID
