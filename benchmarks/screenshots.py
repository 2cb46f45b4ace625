r"""The demo's page as pictures for the docs, on generated streets.

    python benchmarks/screenshots.py --output docs/pictures \
        source-only=runs/quickstart/source/model.pt adapted=runs/quickstart/model.onnx

Writes demo-picture, -compare, -video, -card and -phone (dark) as JPEG; video and card are those of
the second model. Needs playwright and Chromium.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

_DESKTOP, _PHONE = (1200, 860), (360, 980)
_WAIT = 180_000  # milliseconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="NAME=FILE, two or more")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    take(arguments.models, arguments.output, arguments.chromium)


def take(models: list[str], output: Path, chromium: str) -> None:
    """Write the pictures of a demo of these models into a folder."""
    with _demo(models) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = _open(browser, address, _DESKTOP, "light")
        _shoot(page, output / "demo-picture.jpg")
        page.get_by_role("tab", name="Compare").click()
        page.wait_for_selector("cf-blend figure.differs")
        bright = page.locator("cf-blend figure img").first.get_attribute("src")
        compare = page.get_by_role("tabpanel").filter(has_text="Models")
        compare.get_by_role("button", name="Dusk", exact=True).click()
        page.wait_for_function(
            "bright => (document.querySelector('cf-blend figure img')?.src ?? bright) !== bright",
            arg=bright,
        )
        _shoot(page, output / "demo-compare.jpg")
        page.get_by_label("Model", exact=True).click()
        page.get_by_role("option").nth(1).click()
        page.get_by_role("tab", name="Video").click()
        page.get_by_role("button", name="Try a generated drive").click()
        page.wait_for_function("document.querySelector('cf-film video')?.readyState >= 3")
        page.evaluate("() => { document.querySelector('cf-film video').currentTime = 2 }")
        page.wait_for_timeout(1500)
        _shoot(page, output / "demo-video.jpg")
        page.get_by_role("tab", name="Model card").click()
        page.wait_for_selector(".card h2")
        _shoot(page, output / "demo-card.jpg")
        page = _open(browser, address, _PHONE, "dark")
        _shoot(page, output / "demo-phone.jpg", whole=False)
        browser.close()


def _open(browser: Any, address: str, size: tuple[int, int], scheme: str) -> Any:
    page = browser.new_page(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        bypass_csp=True,  # waiting for a function evaluates its text in the page
    )
    page.set_default_timeout(_WAIT)
    page.goto(address)
    page.wait_for_selector("cf-viewer[data-ready]")
    return page


def _shoot(page: Any, path: Path, whole: bool = True) -> None:
    page.mouse.move(0, 0)
    page.wait_for_timeout(600)  # transitions
    page.screenshot(path=str(path), type="jpeg", quality=72, full_page=whole)


@contextmanager
def _demo(models: list[str]) -> Iterator[str]:
    call = f"from cfcontra.serve.cli import demo; demo({[*models, '--port', '0']!r})"
    process = subprocess.Popen([sys.executable, "-c", call], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        found = re.search(r"http://\S+", process.stdout.readline())
        if found is None:
            raise SystemExit("the demo did not start")
        yield found[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(180)


if __name__ == "__main__":
    main()
