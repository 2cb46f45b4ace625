"""Visitors that send slowly, or leave while they send."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from serving import Server, noise, png, running
from starlette.types import Message

from cfcontra.serve.web.guard import bodies
from cfcontra.serve.web.log import JsonLines
from cfcontra.serve.web.settings import Limits, Settings

PATH = "/v1/segment"
LEAVES: Message = {"type": "http.disconnect"}


def piece(body: bytes, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def send(
    server: Server,
    receive: Callable[[], Awaitable[Message]],
    path: str = PATH,
    kind: bytes = b"application/octet-stream",
) -> int:
    """Sends what `receive` gives; the answer's status."""
    statuses = []

    async def answered(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", kind)],
    }
    await server.client.app(scope, receive, answered)
    return statuses[0] if statuses else 0


def in_loop(server: Server, function: Callable[[], Awaitable[Any]]) -> Any:
    assert server.client.portal is not None
    return server.client.portal.call(function)


def sender(*messages: Message, then: asyncio.Event | None = None) -> Any:
    """Gives messages one after the other; the last only after an event."""
    left = [*messages]

    async def receive() -> Message:
        if len(left) == 1 and then is not None:
            await then.wait()
        return left.pop(0) if left else LEAVES

    return receive


def test_who_sends_slowly_keeps_no_place(tmp_path: Path) -> None:
    async def visits() -> tuple[int, list[int]]:
        data, go_on = png(noise()), asyncio.Event()
        slow = [
            asyncio.create_task(
                send(server, sender(piece(data[:1]), piece(data[1:], False), then=go_on))
            )
            for _ in range(3)
        ]
        await asyncio.sleep(0.05)
        quick = await asyncio.wait_for(send(server, sender(piece(data, False))), 30)
        go_on.set()
        return quick, [await one for one in slow]

    with running(tmp_path, Settings(replace(Limits(), queue=1))) as server:
        quick, slow = in_loop(server, visits)
    assert quick == 200
    assert 200 in slow
    assert set(slow) <= {200, 429}


@pytest.mark.parametrize("path", [PATH, "/v1/video"])
def test_who_sends_too_slowly_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(bodies, "_SILENCE", 0.3)

    def steadily(size: int) -> Callable[[], Awaitable[Message]]:
        left = 60

        async def receive() -> Message:
            nonlocal left
            await asyncio.sleep(0.02)
            left -= 1
            return piece(b"x" * size, more=left > 0)

        return receive

    with running(tmp_path) as server:
        assert in_loop(server, lambda: send(server, steadily(1), path)) == 408
        assert in_loop(server, lambda: send(server, steadily(1000), path)) in (415, 422)
        assert not [*server.state.scratch.folder("uploads").iterdir()]


@pytest.mark.parametrize("path", [PATH, "/v1/segment/batch", "/v1/video"])
def test_who_leaves_while_sending_is_no_fault_of_the_servers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    kind = b"multipart/form-data; boundary=b" if "batch" in path else b"application/octet-stream"
    with caplog.at_level(logging.INFO, "cfcontra.serve"), running(tmp_path) as server:
        in_loop(server, lambda: send(server, sender(piece(form)), path, kind))
        figures = server.client.get("/metrics").text
        assert not [*server.state.scratch.folder("uploads").iterdir()]
    assert "Traceback" not in caplog.text
    entry = json.loads(JsonLines().format(next(r for r in caplog.records if r.msg == "request")))
    assert (entry["path"], entry["status"]) == (path, 499)
    assert f'route="{path}",status="499"}} 1.0' in figures
    assert 'kind="internal"' not in figures
