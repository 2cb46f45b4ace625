"""A demo server and a browser for the tests of the page, one of each for a file of tests."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from cfcontra.checkpoint import Checkpoint, save_checkpoint
from cfcontra.datasets.streets import StreetsDataset
from cfcontra.label_space import LABEL_SPACES
from cfcontra.metadata import ModelMetadata
from cfcontra.models import build_model
from cfcontra.preprocessing import Preprocessing
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
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
DESKTOP, PHONE = (1280, 900), (360, 780)
WAIT = 60_000  # milliseconds; a machine may be slow

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
if shutil.which(CHROMIUM) is None:
    pytest.skip(f"there is no {CHROMIUM}", allow_module_level=True)


@dataclass(frozen=True)
class Site:
    """A running demo.

    Attributes:
        address: where it is.
        files: its private folder's parent.
        process: the server.
    """

    address: str
    files: Path
    process: subprocess.Popen[str]

    def left(self, folder: str) -> list[str]:
        """Names of files in a folder of the private folder."""
        # A file may go while the folder is read.
        with suppress(FileNotFoundError):
            return [p.name for p in self.files.glob(f"server-*/{folder}/**/*") if p.is_file()]
        return self.left(folder)

    def threads(self) -> int:
        return len([*Path(f"/proc/{self.process.pid}/task").iterdir()])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A demo of three models."""
    with running_site(tmp_path_factory.mktemp("site")) as started:
        yield started


@contextmanager
def running_site(folder: Path, **environment: str) -> Iterator[Site]:
    """Start `cfcontra-demo` on a free port; Ctrl-C must end it with 0 and empty its folder."""
    files = folder / "private"
    arguments = [*write_models(folder), "--port", "0", "--threads", "1", "--scratch", str(files)]
    call = f"import sys; from cfcontra.serve.cli import demo; sys.exit(demo({arguments!r}))"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", call],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **environment},
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found, line + (folder / "log").read_text()
    yield Site(found[0], files, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(180) == 0
    assert [*files.glob("server-*")] == []
    assert "Traceback" not in (folder / "log").read_text()


def write_models(folder: Path) -> list[str]:
    """Three models, as the command line takes them."""
    return [
        f"{name}={_model(folder / f'{name}.pt', space, seed)}"
        for seed, (name, space) in enumerate(
            (("day", "camvid11"), ("dusk", "camvid11"), ("city", "cityscapes19"))
        )
    ]


def _model(path: Path, space_name: str, seed: int) -> Path:
    torch.manual_seed(seed)
    space = LABEL_SPACES[space_name]
    model = build_model("light", space.num_classes)
    torch.nn.init.normal_(model.head.weight, std=1.0)  # type: ignore[arg-type]
    training = {"method": "cfcontra", "source": "streets:noon", "target": "streets:dusk"}
    metadata = ModelMetadata(space, Preprocessing((64, 96)), model.config(), training)
    save_checkpoint(path, Checkpoint(model, metadata).model, metadata)
    return path


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
    address: str
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def runs(self) -> int:
        """How often the page's Python was asked for something."""
        return sum("queue/join" in request for request in self.requests)

    def foreign(self) -> list[str]:
        """What was asked of anybody else."""
        own = (self.address, "data:", f"blob:{self.address}")
        return [url for url in self.requests if not url.startswith(own)]

    def open_tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()


def wait_for(page: Any, expression: str, arg: Any = None) -> None:
    """Until something holds in the page.

    The browser library's own `wait_for_function` evaluates text inside the page, which its content
    policy forbids.
    """
    end = time.monotonic() + WAIT / 1000
    while not page.evaluate(expression, arg):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)


@pytest.fixture
def visit(browser: Any, site: Site) -> Iterator[Callable[..., Visit]]:
    """Open the page and wait until it shows its first example."""
    contexts = []

    def open_page(size: tuple[int, int] = DESKTOP, scheme: str = "light") -> Visit:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            permissions=["camera"],
        )
        context.set_default_timeout(WAIT)
        contexts.append(context)
        made = Visit(context.new_page(), site.address)
        made.page.on("request", lambda request: made.requests.append(request.url))
        made.page.on("pageerror", lambda error: made.errors.append(str(error)))
        made.page.on(
            "console",
            lambda message: made.errors.append(message.text) if message.type == "error" else None,
        )
        made.page.goto(site.address)
        made.page.wait_for_selector("cf-viewer[data-ready]")
        return made

    yield open_page
    for context in contexts:
        context.close()


def upload(page: Any, path: Path) -> None:
    """Give the Picture tab a file and wait for its result."""
    page.set_input_files("input[type=file] >> nth=0", path)
    page.wait_for_selector(f"cf-viewer[data-ready] a[download='{path.stem}.json']")


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that is none of the examples."""
    path = tmp_path_factory.mktemp("pictures") / "street.png"
    path.write_bytes(encode_png(StreetsDataset("noon", size=(180, 320), seed=9)[0].image))
    return path
