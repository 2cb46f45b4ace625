"""The demo as its visitor sees it: videos and the camera."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from demo_site import Site, Visit, browser, site, visit, wait_for
from numpy.typing import NDArray

from cfcontra.serve.video import write_video

__all__ = ["browser", "site", "visit"]
pytestmark = pytest.mark.timeout(480)
Open = Callable[..., Visit]
SHOWN = "Number(document.querySelector('[data-figure=frames]').textContent)"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds."""
    return write(tmp_path_factory.mktemp("clips") / "clip.mp4", 50)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Longer than anybody would wait for here."""
    return write(tmp_path_factory.mktemp("clips") / "drive.mp4", 4000)


def write(path: Path, frames: int) -> Path:
    def images() -> Iterator[NDArray[np.uint8]]:
        for number in range(frames):
            yield np.full((96, 160, 3), number % 256, np.uint8)

    write_video(images(), path, Fraction(25))
    return path


def begin(visited: Visit, path: Path) -> Any:
    """Choose a video and start it."""
    visited.open_tab("Video")
    panel = visited.page.get_by_role("tabpanel").filter(has_text="Segment")
    panel.locator("input[type=file]").set_input_files(path)
    # Not its text: that shows the name in one piece only while a file is on its way.
    panel.get_by_label(path.name).wait_for()
    visited.page.get_by_role("button", name="Segment", exact=True).click()
    return visited.page


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.2)


def test_a_video_is_segmented_to_its_end_and_plays(visit: Open, clip: Path) -> None:
    visited = visit()
    page = begin(visited, clip)
    page.wait_for_selector("cf-film video")
    wait_for(page, "document.querySelector('cf-film video').readyState >= 3")
    assert page.evaluate("document.querySelector('cf-film video').duration") == pytest.approx(
        2.0, abs=0.1
    )
    assert page.locator("cf-film svg.areas polygon").count() > 0
    needle = page.locator("cf-film .needle")
    start = needle.get_attribute("transform")
    page.evaluate("() => document.querySelector('cf-film video').play()")
    wait_for(page, "document.querySelector('cf-film video').ended")
    assert needle.get_attribute("transform") != start
    chart = page.locator("cf-film svg.areas").bounding_box()
    page.mouse.click(chart["x"] + 0.5 * chart["width"], chart["y"] + 20)
    middle = page.evaluate("document.querySelector('cf-film video').currentTime")
    assert middle == pytest.approx(1.0, abs=0.15)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download the video").click()
    with av.open(str(waiting.value.path())) as saved:
        assert saved.streams.video[0].codec_context.name == "h264"
        assert sum(1 for _ in saved.decode(video=0)) == 50
    assert visited.foreign() == []
    assert visited.errors == []


def test_a_cancelled_video_leaves_nothing(visit: Open, site: Site, drive: Path) -> None:
    visited = visit()
    page = begin(visited, drive)
    page.get_by_text("of 4000").wait_for()
    share = page.locator("progress").evaluate("bar => bar.value / bar.max")
    assert 0 < share < 1
    assert site.left("jobs") != []
    running = site.threads()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_text("Cancelled; nothing was kept.").wait_for()
    assert site.left("jobs") == []
    wait_until(lambda: site.threads() < running, "the job's threads are still there")
    assert page.get_by_role("button", name="Segment", exact=True).is_enabled()
    assert page.get_by_role("button", name="Cancel").is_disabled()


def test_a_closed_page_takes_its_video_along(visit: Open, site: Site, drive: Path) -> None:
    page = begin(visit(), drive)
    page.get_by_text("of 4000").wait_for()
    page.close()
    wait_until(lambda: site.left("jobs") == [], "the job of a closed page goes on")


def test_a_broken_video_gives_a_message_and_the_page_lives_on(
    visit: Open, clip: Path, tmp_path: Path
) -> None:
    visited = visit()
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(clip.read_bytes()[:100] + b"junk" * 500)
    page = begin(visited, broken)
    page.get_by_role("alert").get_by_text("not a video that can be read").first.wait_for()
    page.get_by_role("tabpanel").get_by_label("Clear").last.click()
    begin(visited, clip)
    page.wait_for_selector("cf-film video")


def test_the_camera_is_segmented_live(visit: Open) -> None:
    visited = visit()
    page = visited.page
    visited.open_tab("Live")
    page.get_by_role("button", name="Start camera").click()
    wait_for(page, f"{SHOWN} >= 5")
    assert float(page.inner_text("[data-figure=fps]")) > 0
    assert 0 < int(page.inner_text("[data-figure=latency]").removesuffix(" ms")) < 20_000
    assert page.locator("cf-live .legend .unseen > span").count() > 0
    drawn = "document.querySelector('cf-live canvas').toDataURL()"
    before = page.evaluate(drawn)
    wait_for(page, f"before => {drawn} !== before", before)
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector("cf-live[data-state=stopped]")
    page.get_by_role("button", name="Start camera").click()
    wait_for(page, f"{SHOWN} >= 1")
    visited.open_tab("Model card")  # a camera that nobody sees is switched off
    page.wait_for_selector("cf-live[data-state=stopped]", state="attached")
    stopped = page.evaluate(SHOWN)
    page.wait_for_timeout(500)
    assert page.evaluate(SHOWN) == stopped
    assert visited.foreign() == []
    assert visited.errors == []


def test_a_slow_model_is_shown_the_newest_frame_and_never_a_queue(visit: Open) -> None:
    visited = visit()
    page = visited.page
    waiting: list[int] = [0, 0]  # now, and at most

    def slow(route: Any) -> None:
        waiting[0] += 1
        waiting[1] = max(waiting)
        page.wait_for_timeout(400)
        waiting[0] -= 1
        route.continue_()

    page.route("**/v1/segment*", slow)
    visited.open_tab("Live")
    page.get_by_role("button", name="Start camera").click()
    wait_for(page, f"{SHOWN} >= 4")
    assert waiting[1] == 1
    assert int(page.inner_text("[data-figure=dropped]")) > 4
    assert int(page.inner_text("[data-figure=latency]").removesuffix(" ms")) < 10_000
    page.unroute_all(behavior="ignoreErrors")


@pytest.mark.slow
def test_a_busy_server_is_waited_for(visit: Open) -> None:
    visited = visit()
    page = visited.page
    answers = iter([429, 429])

    def busy(route: Any) -> None:
        status = next(answers, None)
        if status is None:
            route.continue_()
        else:
            route.fulfill(status=status, headers={"Retry-After": "1"}, json={"detail": "full"})

    page.route("**/v1/segment*", busy)
    visited.open_tab("Live")
    page.get_by_role("button", name="Start camera").click()
    page.get_by_text("The server is busy; trying again").wait_for()
    wait_for(page, f"{SHOWN} >= 1")


def test_a_snapshot_of_the_camera_is_segmented(visit: Open) -> None:
    visited = visit()
    page = visited.page
    page.get_by_label("Capture from camera").first.click()
    page.get_by_text("Click to Access Webcam").first.click()
    # Before its first picture is there, the camera's button does nothing.
    wait_for(page, "[...document.querySelectorAll('video')].some(v => v.videoWidth > 0)")
    page.get_by_label("capture photo").click()
    page.wait_for_selector("cf-viewer[data-ready] a[download$='.json']:not([download^=street])")
    assert visited.foreign() == []
