"""The page with many visitors, and with such as do not behave."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from fastapi import FastAPI
from serving import Server, ask, join, noise, png, running_page, wait_until
from starlette.testclient import TestClient

from cfcontra.serve.video import write_video
from cfcontra.serve.web.page.bounded_queue import bound_queue
from cfcontra.serve.web.settings import Limits, Settings

WATCHERS = 45
"""More than there are threads."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    limits = replace(Limits(), video_bytes=100_000, waiting_jobs=WATCHERS)
    with running_page(tmp_path_factory.mktemp("page"), Settings(limits)) as made:
        yield made


# Uploads


def part(field: str, data: bytes, end: str = "") -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="{field}"; filename="a.png"\r\n\r\n'
    return head.encode() + data + f"\r\n{end}".encode()


ENDS = {
    "visitor leaves": (part("files", b"x" * 9000), None),
    "too large": (part("files", b"x" * 9000), b"x" * 200_000),
    "cut short": (part("files", b"x" * 9000),),
    "unknown field": (part("other", b"x" * 9000, "--x--\r\n"),),
    "two files": (part("files", b"x" * 9000), part("files", b"", "--x--\r\n")),
    "no name of a field": (part("files", b"x"), b"--x\r\nContent-Type: a/b\r\n\r\nx\r\n--x--\r\n"),
}


@pytest.mark.parametrize("chunks", ENDS.values(), ids=ENDS)
def test_an_upload_that_fails_leaves_nothing(
    server: Server, chunks: tuple[bytes | None, ...]
) -> None:
    folders = [server.state.scratch.folder(name) for name in ("uploads", "page")]
    before = [path for folder in folders for path in folder.rglob("*")]
    last = len(chunks) - 1
    messages: list[dict[str, Any]] = [
        {"type": "http.disconnect"}
        if chunk is None
        else {"type": "http.request", "body": chunk, "more_body": number < last}
        for number, chunk in enumerate(chunks)
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/gradio_api/upload",
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1:7860"),
            (b"content-type", b"multipart/form-data; boundary=x"),
        ],
    }
    assert server.client.portal is not None
    server.client.portal.call(server.client.app, scope, receive, send)
    assert not sent or sent[0]["status"] in (400, 413, 500)
    assert [path for folder in folders for path in folder.rglob("*")] == before


def test_a_whole_upload_can_be_looked_at(server: Server) -> None:
    files = {"files": ("mine.png", png(noise(8, 8)))}
    [path] = server.client.post("/gradio_api/upload?upload_id=u", files=files).json()
    progress = server.client.get("/gradio_api/upload_progress?upload_id=u").text
    assert '"msg": "done"' in progress
    assert Path(path).read_bytes() == files["files"][1]
    assert server.client.get(f"/gradio_api/file={path}").content == files["files"][1]


# Videos that wait


def test_who_watches_a_video_that_waits_takes_no_place_from_others(
    server: Server, tmp_path: Path
) -> None:
    film = tmp_path / "film.mp4"
    write_video((noise(48, 64, seed) for seed in range(3)), film, Fraction(10))
    server.backend.open.clear()
    for number in range(WATCHERS):
        [path] = server.client.post(
            "/gradio_api/upload", files={"files": ("film.mp4", film.read_bytes())}
        ).json()
        asked = [{"path": path, "meta": {"_type": "gradio.FileData"}}, "day", 0.5]
        assert join(server.client, "click", "Segment", asked, f"v{number}").status_code == 200
    wait_until(lambda: sum(server.state.jobs.counts().values()) == WATCHERS)
    assert '"success":true' in ask(server.client, "click", "Cancel", [])
    assert server.client.get("/v1/models").status_code == 200
    server.backend.open.set()
    assert "cf-film" in server.client.get("/gradio_api/queue/data?session_hash=v0").text


# What nobody reads


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What the button waits for."""
    opened = threading.Event()
    opened.set()
    yield opened
    opened.set()


@pytest.fixture
def button(gate: threading.Event) -> Iterator[tuple[gr.Blocks, TestClient]]:
    """A page with a button, and five events that may wait for it."""
    with gr.Blocks(analytics_enabled=False) as page:
        out = gr.HTML()
        gr.Button("press").click(lambda: str(gate.wait(60)), None, out)
    bound_queue(page, 5)
    with TestClient(gr.mount_gradio_app(FastAPI(), page, "/")) as client:
        yield page, client


def press(client: TestClient, visit: str) -> int:
    asked = {"data": [], "fn_index": 0, "session_hash": visit}
    return client.post("/gradio_api/queue/join", json=asked).status_code


def quiet(page: gr.Blocks) -> Callable[[], bool]:
    """Whether all that was asked has been answered."""
    queue = page._queue
    return lambda: not len(queue) and not any(queue.active_jobs)


def test_answers_that_nobody_reads_are_not_piled_up(
    button: tuple[gr.Blocks, TestClient],
) -> None:
    page, client = button
    visits = page._queue.pending_messages_per_session
    statuses = []
    for _ in range(40):
        statuses.append(press(client, "deaf"))
        wait_until(quiet(page))
    assert statuses == [200] * statuses.count(200) + [503] * statuses.count(503)
    assert 5 < statuses.count(200) < 20
    assert visits["deaf"].qsize() == 32
    for number in range(120):
        press(client, f"deaf{number}")
        wait_until(quiet(page))
    unread = sum(answers.qsize() for answers in visits.values())
    assert 200 < unread < 270
    assert len(visits) < 120
    assert len(page._queue.pending_event_ids_session) == len(visits)
    assert press(client, "reads") == 200
    assert "True" in client.get("/gradio_api/queue/data?session_hash=reads").text
    assert press(client, "x" * 65) == 400


def test_only_so_many_events_wait(
    button: tuple[gr.Blocks, TestClient], gate: threading.Event
) -> None:
    page, client = button
    gate.clear()
    assert press(client, "a") == 200
    wait_until(lambda: not len(page._queue))  # it runs
    assert [press(client, "b") for _ in range(7)] == [200] * 5 + [503] * 2
    gate.set()
    wait_until(quiet(page))
    assert press(client, "a") == 200
