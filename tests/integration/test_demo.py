"""The demo as its visitor sees it: a real server and a real browser."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cfcontra.visualize import encode_png

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = (1280, 900), (390, 844)

pytestmark = pytest.mark.timeout(120)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if shutil.which(CHROMIUM) is None:
    pytest.skip(f"there is no {CHROMIUM}", allow_module_level=True)


@pytest.fixture(scope="module")
def address(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start `cfcontra-demo` on a free port; Ctrl-C must end it with 0."""
    other = tmp_path_factory.mktemp("models") / "other.pt"
    other.write_bytes(model_file.read_bytes())
    arguments = [str(model_file), str(other), "--port", "0", "--threads", "1"]
    call = f"import sys; from cfcontra.serve.cli import demo; sys.exit(demo({arguments!r}))"
    process = subprocess.Popen([sys.executable, "-c", call], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found, line
    yield found[0]
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@dataclass
class Visit:
    """A page, and everything it asked for or complained about."""

    page: Any
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def runs(self) -> int:
        return sum(request.endswith("queue/join?") for request in self.requests)


def visit(browser: Any, address: str, size: tuple[int, int], scheme: str = "light") -> Visit:
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
    )
    made = Visit(context.new_page())
    made.page.on("request", lambda request: made.requests.append(request.url))
    made.page.on("pageerror", lambda error: made.errors.append(str(error)))
    made.page.goto(address)
    made.page.wait_for_selector(".card")
    return made


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "street.png"
    noise = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    path.write_bytes(encode_png(noise))
    return path


def upload(page: Any, path: Path) -> None:
    page.set_input_files("input[type=file]", path)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_is_segmented_and_nobody_else_is_asked(
    browser: Any, address: str, street: Path, size: tuple[int, int], scheme: str
) -> None:
    visited = visit(browser, address, size, scheme)
    upload(visited.page, street)
    visited.page.wait_for_selector(".legend table")
    text = visited.page.inner_text(".legend")
    shares = [float(share) for share in re.findall(r"([\d.]+) %\s+[\d.]+ %", text)]
    assert 98 < sum(shares) < 102
    assert visited.page.locator("img").count() >= 3
    assert visited.runs() == 1
    foreign = [
        url for url in visited.requests if not url.startswith((address, "data:", f"blob:{address}"))
    ]
    assert foreign == []
    assert visited.errors == []
    assert visited.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_broken_picture_gives_a_message_and_the_page_lives_on(
    browser: Any, address: str, street: Path, tmp_path: Path
) -> None:
    visited = visit(browser, address, DESKTOP)
    broken = tmp_path / "broken.jpg"
    for count, data in enumerate((b"junk" * 50, b"\xff\xd8\xff\xe0" + b"junk" * 50), start=1):
        broken.write_bytes(data)
        upload(visited.page, broken)
        message = visited.page.get_by_text("not a picture that can be read")
        message.nth(count - 1).wait_for()
        visited.page.wait_for_selector(".legend table", state="detached")
        upload(visited.page, street)
        visited.page.wait_for_selector(".legend table")


def test_opacity_and_model_can_be_changed(browser: Any, address: str, street: Path) -> None:
    page = visit(browser, address, DESKTOP).page
    upload(page, street)
    page.wait_for_selector(".legend table")
    before = page.locator("img").last.get_attribute("src")
    page.fill("input[type=number]", "1")
    page.keyboard.press("Tab")
    page.wait_for_function(
        "before => [...document.images].at(-1).getAttribute('src') !== before", arg=before
    )
    page.get_by_label("Model").click()
    page.get_by_role("option", name="other.pt").click()
    page.wait_for_function("document.querySelector('.card').innerText.includes('other.pt')")
    assert page.locator(".legend table").count() == 1
