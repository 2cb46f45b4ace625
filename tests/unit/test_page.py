"""What the page shows, without a browser."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable, Iterator
from fractions import Fraction
from html import unescape
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cfcontra.errors import InputError
from cfcontra.label_space import IGNORE_INDEX, LABEL_SPACES, LabelSpace
from cfcontra.metadata import ModelMetadata
from cfcontra.preprocessing import Preprocessing
from cfcontra.rle import decode_masks
from cfcontra.runtime import Backend, Prediction
from cfcontra.serve.indexed import encode_mask
from cfcontra.serve.video.areas import ClassAreas
from cfcontra.serve.web import pair_counts as pair_counts_of
from cfcontra.serve.web.batcher import Busy
from cfcontra.serve.web.drift import REFERENCE_FRAMES
from cfcontra.serve.web.legend import class_shares, legend_html
from cfcontra.serve.web.metrics import Metrics
from cfcontra.serve.web.models import Models, ServedModel
from cfcontra.serve.web.page.answers import Answer, compare_html
from cfcontra.serve.web.page.card import card_html
from cfcontra.serve.web.page.chart import areas_legend, areas_svg
from cfcontra.serve.web.page.compare import ComparisonTab
from cfcontra.serve.web.page.disagreement import difference_map, disagreement
from cfcontra.serve.web.page.header import model_html
from cfcontra.serve.web.page.parts import error_html, one_block
from cfcontra.serve.web.page.picture import PictureTab
from cfcontra.serve.web.page.predict import predict, read_upload
from cfcontra.serve.web.page.video import VideoTab
from cfcontra.serve.web.page.viewer import heat_map, viewer_html
from cfcontra.serve.web.scratch import Scratch
from cfcontra.serve.web.settings import Limits, Settings
from cfcontra.serve.web.state import ServerState

SPACE = LABEL_SPACES["camvid11"]
CITY = LABEL_SPACES["cityscapes19"]
ROAD = SPACE.classes.index("road")


class HalvesBackend(Backend):
    """Says sky above and road below."""

    def __init__(
        self,
        training: dict[str, object] | None = None,
        certificate: dict[str, object] | None = None,
        space: LabelSpace = SPACE,
    ) -> None:
        self.metadata = ModelMetadata(
            space,
            Preprocessing((288, 512)),
            {"name": "light"},
            dict(training or {}),
            "0123456789abcdef0",
            dict(certificate or {}),
        )
        self.device, self.runtime = "cpu", "test 1"
        self.runs = 0

    def _run(self, frames: NDArray[np.uint8]) -> Prediction:
        self.runs += 1
        mask = np.full(frames.shape[:3], self.metadata.label_space.classes.index("sky"), np.uint8)
        mask[:, frames.shape[1] // 2 :] = self.metadata.label_space.classes.index("road")
        upper = np.arange(frames.shape[1])[:, None] < frames.shape[1] // 2
        confidence = np.broadcast_to(np.where(upper, 255, 51), mask.shape).astype(np.uint8)
        return Prediction(mask, confidence)


def halves(height: int = 40, width: int = 30) -> Prediction:
    return HalvesBackend().predict(np.zeros((1, height, width, 3), np.uint8))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., ServerState]]:
    """A server's state on backends by name."""
    opened: list[ServerState] = []

    def make(limits: Limits | None = None, **backends: Backend) -> ServerState:
        models = Models([ServedModel(name, Path(name), b) for name, b in backends.items()])
        scratch = Scratch(tmp_path / f"private-{len(opened)}")
        opened.append(ServerState.open(models, Settings(limits or Limits()), scratch))
        return opened[-1]

    yield make
    for state in opened:
        state.close()


def served(backend: Backend, name: str = "deep/in/model.onnx") -> ServedModel:
    model = ServedModel(Path(name).name, Path(name), backend)
    model.batcher.close()
    return model


# Legend


def test_shares_and_confidence_are_counted() -> None:
    shares = class_shares(halves(), SPACE)
    assert [share.name for share in shares[:2]] == ["sky", "road"]
    assert [share.train_id for share in shares[:2]] == [SPACE.classes.index("sky"), ROAD]
    assert [share.area for share in shares[:2]] == [0.5, 0.5]
    assert [share.confidence for share in shares[:2]] == pytest.approx([1.0, 0.2])
    assert sum(share.area for share in shares) == 1.0
    assert len(shares) == SPACE.num_classes


def test_the_legend_tells_seen_from_unseen() -> None:
    seen, _, unseen = legend_html(class_shares(halves(), SPACE)).partition("Not seen")
    for text in ('value="sky"', 'aria-label="Show road"', "50.0 %", "20.0 %", "#804080"):
        assert text in seen
    assert "bicyclist" in unseen
    assert "bicyclist" not in seen


# The viewer


def test_the_viewer_carries_the_mask_the_heat_map_and_the_legend() -> None:
    picture = np.full((40, 30, 3), 90, np.uint8)
    prediction = halves()
    html = viewer_html(picture, prediction, SPACE, class_shares(prediction, SPACE), [])
    found = re.search(r'data-result="([^"]*)"', html)
    assert found
    result = json.loads(unescape(found[1]))
    assert (result["width"], result["height"]) == (30, 40)
    segments = [{**entry, "size": [40, 30], "class": "", "area": 0} for entry in result["segments"]]
    assert np.array_equal(decode_masks(segments), prediction.mask[0])
    assert result["names"][ROAD] == "road"
    assert result["colors"][str(ROAD)] == [128, 64, 128]
    assert "50.0 %" in html


def test_a_large_picture_is_shown_smaller_and_keeps_its_shape() -> None:
    picture = np.zeros((1200, 2400, 3), np.uint8)
    prediction = halves(1200, 2400)
    html = viewer_html(picture, prediction, SPACE, class_shares(prediction, SPACE), [])
    assert '"width": 1600, "height": 800' in unescape(html)


def test_the_heat_map_gets_lighter_with_confidence() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    weights = np.array([0.2126, 0.7152, 0.0722])
    light = (heat_map(ramp)[0] @ weights).astype(float)
    assert np.all(np.diff(light) >= -1)
    assert light[-1] - light[0] > 150


def test_the_downloaded_mask_holds_ids_and_colours() -> None:
    mask = halves().mask[0]
    image = Image.open(BytesIO(encode_mask(mask, SPACE)))
    assert np.array_equal(np.asarray(image), mask)
    assert tuple(np.asarray(image.convert("RGB"))[-1, 0]) == SPACE.colors[ROAD]
    mask = mask.copy()
    mask[0, 0] = IGNORE_INDEX
    clear = Image.open(BytesIO(encode_mask(mask, SPACE, clear=True))).convert("RGBA")
    assert [np.asarray(clear)[0, x, 3] for x in (0, 1)] == [0, 255]


def test_markup_stays_one_block_of_html_for_markdown() -> None:
    for gap in ("\n\n\n   ", "\r\r", "\r\n\r\n", " \r \n\t"):
        made = one_block(f"<p>a</p>{gap}<p>b</p>\n")
        assert made == "<div><p>a</p>\n<p>b</p></div>"


def test_messages_show_what_they_quote_as_text() -> None:
    assert "<b>" not in error_html("<b>no</b>")


# The picture tab


def test_an_example_is_segmented_once_and_an_upload_each_time(
    serve: Callable[..., ServerState], tmp_path: Path
) -> None:
    backend = HalvesBackend()
    tab = PictureTab(serve(m=backend))
    assert tab.segment(None, 0, "m") == tab.segment(None, 0, "m")
    assert backend.runs == 1
    street = tmp_path / "street.png"
    Image.new("RGB", (60, 40), (90, 90, 90)).save(street)
    for runs in (2, 3):
        upload, html = tab.segment(str(street), 0, "m")
        assert upload == str(street)
        assert 'download="street-mask.png"' in html
        assert backend.runs == runs


def test_what_the_page_predicts_is_in_the_figures(serve: Callable[..., ServerState]) -> None:
    state = serve(m=HalvesBackend(), n=HalvesBackend())
    metrics = Metrics(state.models, state.jobs)
    PictureTab(state).segment(None, 0, "m")
    ComparisonTab(state).compare(None, 1, ["m", "n"])
    found = metrics.text().decode()
    for line in (
        'cfcontra_model_seconds_count{model="m"} 2.0',
        'cfcontra_model_seconds_count{model="n"} 1.0',
        'cfcontra_batch_frames_sum{model="m"} 2.0',
        'cfcontra_score{model="n",score="confidence"} 0.6',  # halves of 1 and 0.2
    ):
        assert line in found
    for _ in range(REFERENCE_FRAMES):
        predict(state.models["n"], np.zeros((4, 4, 3), np.uint8), Limits())
    assert 'cfcontra_drift{model="n",score="confidence"} 0.0' in metrics.text().decode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The file is empty"),
        (b"text", "not a picture that can be read"),
        (b"\x89PNG\r\n\x1a\n" + bytes(3000), "up to 0.002 MB"),
    ],
    ids=["empty", "text", "too many bytes"],
)
def test_an_upload_that_cannot_be_used_is_explained(
    tmp_path: Path, data: bytes, message: str
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_upload(path, Limits(image_bytes=2000))


def test_an_upload_whose_time_is_over_is_explained(
    serve: Callable[..., ServerState], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="Choose it again"):
        read_upload(tmp_path / "gone.png", Limits())
    with pytest.raises(InputError, match="Choose it again"):
        VideoTab(serve(m=HalvesBackend()))._start(tmp_path / "gone.mp4", "m", 0.5, "visit")


def test_a_picture_with_too_many_pixels_is_explained(tmp_path: Path) -> None:
    Image.new("1", (200, 200)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"more than 0\.01 megapixels"):
        read_upload(tmp_path / "a.png", Limits(image_pixels=10_000))


def test_a_full_queue_is_explained(
    serve: Callable[..., ServerState], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = serve(m=HalvesBackend()).models["m"]

    def full(frames: NDArray[np.uint8]) -> None:
        raise Busy

    monkeypatch.setattr(model, "submit", full)
    with pytest.raises(InputError, match="Try again in a moment"):
        predict(model, np.zeros((4, 4, 3), np.uint8), Limits())


# Comparing


def test_pairs_are_counted_wherever_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pair_counts_of, "_PART", 70)
    first, second = np.random.default_rng(0).integers(0, 256, (2, 20, 30), dtype=np.uint8)
    expected = np.zeros((256, 256), np.int64)
    np.add.at(expected, (first, second), 1)
    assert np.array_equal(pair_counts_of.pair_counts(first, second), expected)


def test_comparing_a_large_picture_takes_little_memory() -> None:
    """Arrays of OpenCV are NumPy's, which tells what it allocates."""
    masks = [np.full((1500, 2000), train_id, np.uint8) for train_id in (0, 1)]
    tracemalloc.start()
    try:
        found = disagreement(masks, [SPACE] * 2)
        class_shares(Prediction(masks[0][None], masks[1][None]), SPACE)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.confused == [(SPACE.classes[0], SPACE.classes[1], 1.0)]
    assert peak < 10 * masks[0].size


def test_disagreement_is_what_a_loop_over_pixels_finds() -> None:
    rng = np.random.default_rng(0)
    masks = [rng.integers(0, 11, (20, 30), dtype=np.uint8) for _ in range(3)]
    masks[1][:10] = masks[0][:10]
    masks[2][:10] = masks[0][:10]
    found = disagreement(masks, [SPACE] * 3)
    expected = [len({int(mask[y, x]) for mask in masks}) > 1 for y in range(20) for x in range(30)]
    assert found.differs.ravel().tolist() == expected
    assert found.share == pytest.approx(sum(expected) / 600)
    assert found.coverage == 1.0
    assert found.left_out == ()
    pairs: dict[tuple[str, str], int] = {}
    for other in masks[1:]:
        for before, after in zip(masks[0].ravel(), other.ravel(), strict=True):
            if before != after:
                key = SPACE.classes[before], SPACE.classes[after]
                pairs[key] = pairs.get(key, 0) + 1
    assert {(b, a): s for b, a, s in found.confused} == pytest.approx(
        {key: count / 1200 for key, count in pairs.items()}
    )
    shares = [share for _, _, share in found.confused]
    assert shares == sorted(shares, reverse=True)


def test_label_spaces_are_compared_by_the_names_they_share() -> None:
    camvid = np.full((1, 4), SPACE.classes.index("road"), np.uint8)
    city = np.array([[CITY.classes.index(n) for n in ("road", "building", "bus", "sky")]], np.uint8)
    camvid[0, 3] = SPACE.classes.index("bicyclist")
    found = disagreement([camvid, city], [SPACE, CITY])
    assert "road" in found.classes
    assert {"bus", "bicyclist"} <= set(found.left_out)
    assert found.compared.tolist() == [[True, True, False, False]]
    assert found.differs.tolist() == [[False, True, False, False]]
    assert found.share == 0.5


def test_nothing_in_common_is_nothing_compared() -> None:
    other = LabelSpace("mine", ("left", "right"), ((255, 0, 0), (0, 255, 0)))
    found = disagreement([np.zeros((4, 4), np.uint8)] * 2, [SPACE, other])
    assert found.classes == ()
    assert (found.share, found.coverage) == (0.0, 0.0)


def test_the_difference_map_marks_what_differs() -> None:
    first = np.zeros((8, 8), np.uint8)
    second = first.copy()
    second[:, 4:] = 1
    second[0] = IGNORE_INDEX
    drawn = difference_map(
        np.full((8, 8, 3), 120, np.uint8), disagreement([first, second], [SPACE, SPACE])
    ).astype(int)
    assert np.ptp(drawn[4, 0]) == 0
    assert drawn[4, 7, 0] > 200
    assert drawn[4, 7, 2] < 60
    assert drawn[0, 0].tolist() == [0, 0, 0]


def test_a_comparison_of_different_label_spaces_says_so() -> None:
    picture = np.full((40, 30, 3), 90, np.uint8)
    city = HalvesBackend(space=CITY).predict(picture[None])
    answers = [Answer("one", SPACE, halves()), Answer("<two>", CITY, city)]
    html = compare_html(picture, answers)
    assert "do not have the same classes" in html
    assert "camvid11" in html
    assert "<two>" not in html
    assert '<b class="share">0.0 %</b>' in html
    other = LabelSpace("mine", ("left", "right"), ((255, 0, 0), (0, 255, 0)))
    answers[1] = Answer("two", other, Prediction(city.mask % 2, city.confidence))
    html = compare_html(picture, answers)
    assert "no class in common" in html
    assert "Where they differ" not in html


# Areas over time


def watched(masks: list[NDArray[np.uint8]], points: int) -> ClassAreas:
    areas = ClassAreas(SPACE.num_classes, points)
    for number, mask in enumerate(masks):
        frame = SimpleNamespace(seconds=float(Fraction(number, 25)))
        areas(SimpleNamespace(mask=mask, frame=frame))  # type: ignore[arg-type]
    return areas


def test_areas_are_the_means_of_frames() -> None:
    rng = np.random.default_rng(0)
    masks = [rng.integers(0, 11, (6, 10), dtype=np.uint8) for _ in range(21)]
    each = np.array([[(mask == k).mean() for k in range(11)] for mask in masks])
    assert watched(masks, 100).shares() == pytest.approx(each)
    kept = watched(masks, 4)  # at 8, points stand for 2 frames, then for 4
    assert kept.shares() == pytest.approx(
        np.stack([each[start : start + 4].mean(axis=0) for start in range(0, 21, 4)])
    )
    assert kept.seconds == pytest.approx(0.8)


def test_a_long_video_needs_no_more_points() -> None:
    masks = [np.zeros((2, 2), np.uint8)] * 5000
    assert 16 <= len(watched(masks, 16).shares()) <= 32


@pytest.mark.parametrize("frames", [1, 3, 1000])
def test_the_chart_stacks_the_classes_that_occur(frames: int) -> None:
    shares = np.zeros((frames, 11))
    shares[:, 0], shares[:, ROAD] = 0.25, 0.75
    svg = areas_svg(shares, frames / 25, SPACE)
    assert re.findall(r"<title>([^<]*)</title>", svg) == [
        "sky: 25.0 % of the video",
        "road: 75.0 % of the video",
    ]
    corners = [
        [float(pair.split(",")[1]) for pair in shape.split()]
        for shape in re.findall(r'points="([^"]*)"', svg)
    ]
    top, bottom = min(corners[1]), max(corners[0])
    border = corners[0][0]
    assert (bottom - border) / (bottom - top) == pytest.approx(0.25)
    assert "http" not in svg
    assert areas_legend(shares, SPACE).index("road 75.0 %") < areas_legend(shares, SPACE).index(
        "sky"
    )


# The model card


def test_the_card_shows_the_record_and_trusts_none_of_it() -> None:
    training = {
        "method": "<b>cfcontra</b>",
        "steps": 3000,
        "source": "folder:day,frames=0:346",
        "target": "video:x",
        "licences": {"weights": "from scratch", "data": {"gta5:x": "research <i>alone</i>"}},
        "val": {
            "miou": 0.4567,
            "data": "folder:v",
            "frames": 31,
            "class_iou": {"road": 0.9, "pole": 0.12, "fence": None},
        },
    }
    certificate = {"agreement": 0.99995, "passed": True, "frames": "synthetic", "frame_count": 8}
    card = card_html(served(HalvesBackend(training, certificate)))
    for text in (
        "model.onnx",
        "512×288",
        "11 (camvid11)",
        "45.7 %",
        "folder:v",
        "3,000",
        "labels of <b>day</b> and was adapted to <b>x</b>",
        "Passed",
        "99.9950%",
        "8, generated streets",
        "Weak on pole (",
        "made on generated streets",
        "0123456789abcdef<",
        "gta5:x: research &lt;i&gt;alone&lt;/i&gt;",
        "from scratch",
    ):
        assert text in card, text
    assert "<b>cfcontra" not in card
    assert "deep/in" not in card


def test_a_note_in_the_file_is_shown_and_trusted_no_more_than_the_rest() -> None:
    assert "note" not in model_html(served(HalvesBackend()))
    html = model_html(served(HalvesBackend({"note": "only <i>a</i> stand-in"})))
    assert 'data-model="model.onnx"' in html
    assert "only &lt;i&gt;a&lt;/i&gt; stand-in" in html


def test_a_card_of_odd_metadata_leaves_out_what_it_cannot_read() -> None:
    odd: dict[str, object] = {
        "val": {"miou": "high", "class_iou": [1]},
        "method": ["x"],
        "steps": True,
        "source": 3,
        "licences": {"data": ["x"], "weights": 1},
        "versions": "new",
    }
    card = card_html(served(HalvesBackend(odd, {"agreement": "full"})))
    assert "holds no scores" in card
    assert "this is a checkpoint itself" in card
    assert "Steps" not in card


def test_the_page_asks_no_other_host_and_writes_no_file_into_the_package(
    serve: Callable[..., ServerState],
) -> None:
    import cfcontra.serve.web as package
    from cfcontra.serve.web.app import build_app
    from cfcontra.serve.web.page.theme import STATIC, css, theme

    build_app(serve(m=HalvesBackend(), n=HalvesBackend()))
    assert theme()._stylesheets == []
    assert not list(Path(package.__path__[0]).rglob("*.pyi"))
    own = css() + "".join(path.read_text() for path in STATIC.glob("*.js"))
    assert set(re.findall(r"https?://[\w./]*", own)) == {"http://www.w3.org/2000/svg"}
