"""How much a request may send, counted while it arrives."""

from __future__ import annotations

import asyncio
import time

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..problems import Problem, busy
from ..scratch import Scratch
from ..settings import MEGABYTE, Limits

_FORM = 64_000  # what a multipart form adds to its files, generously
_SILENCE = 30.0  # seconds without a byte
_SLOWEST = 10_000  # bytes a second, on average, once that time is over
_CHECKED = 32 * MEGABYTE  # that arrive between two looks at the disk


class Bodies:
    """Refuses what is too much: of one request, in memory, on the disk, or too slow.

    Args:
        app: what is guarded.
        limits: what is allowed.
        scratch: where uploads lie.
    """

    def __init__(self, app: ASGIApp, limits: Limits, scratch: Scratch) -> None:
        self._app, self._limits, self._scratch = app, limits, scratch
        self._held = self._spooled = self._unchecked = 0
        self._looking = asyncio.Lock()
        self._small = {
            "/v1/segment": limits.image_bytes + _FORM,
            "/v1/segment/batch": limits.batch_bytes + _FORM,
        }
        self._large = ("/v1/video", "/gradio_api/upload")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        body = _Body(self._limit(scope["path"]), receive)
        # A video's form is kept in a file without a name while it arrives, and copied from there.
        kind = Headers(scope=scope).get("content-type", "").lower()
        if scope["path"] == "/v1/video" and kind.startswith("multipart/"):
            body.unseen = 2
        problem = await self._early(scope, body)
        if problem is not None:
            await problem.response(scope)(scope, receive, send)
            return
        started = False

        async def counted() -> Message:
            message = await body.next()
            if message["type"] == "http.request":
                await self._account(scope["path"], body, len(message.get("body", b"")))
            return message

        async def answered(message: Message) -> None:
            nonlocal started
            if body.problem is None or started:
                started = True
                await send(message)

        try:
            await self._app(scope, counted, answered)
        except Problem as error:
            if error is not body.problem:
                raise
        finally:
            self._held -= body.held
            self._spooled -= body.spooled
        # Whatever the application made of it, the visitor is told why its body was refused.
        if body.problem is not None and not started:
            await body.problem.response(scope)(scope, receive, send)

    def _limit(self, path: str) -> int:
        if path in self._large:
            return self._limits.video_bytes + _FORM
        return self._small.get(path, MEGABYTE)

    async def _early(self, scope: Scope, body: _Body) -> Problem | None:
        headers = Headers(scope=scope)
        if headers.get("content-encoding", "identity") != "identity":
            return Problem(415, "Compressed bodies are not taken. Send it as it is.")
        length = headers.get("content-length", "0")
        size = int(length) if length.isascii() and length.isdigit() else 0
        if size > body.limit:
            return _too_large(body.limit)
        if scope["path"] in self._large and not await self._room(size * max(body.unseen, 1)):
            return _full()
        return None

    async def _account(self, path: str, body: _Body, size: int) -> None:
        body.received += size
        if body.received > body.limit:
            raise body.refuse(_too_large(body.limit))
        if path in self._large:
            body.spooled += size * body.unseen
            self._spooled += size * body.unseen
            self._unchecked += size
            if self._unchecked > _CHECKED:
                if not await self._room(0):
                    raise body.refuse(_full())
                self._unchecked = 0
            return
        body.held += size
        self._held += size
        if self._held > self._limits.held_bytes:
            raise body.refuse(busy("Too many uploads arrive at the same time"))

    async def _room(self, size: int) -> bool:
        async with self._looking:  # one at a time: it takes long where there are many files
            used = await run_in_threadpool(self._scratch.used)
        return used + self._spooled + size <= self._limits.stored_bytes


class _Body:
    """One request's body on its way in.

    Attributes:
        held: its bytes in memory.
        unseen: how often it will lie on the disk where no folder shows it.
        spooled: its bytes there.
    """

    def __init__(self, limit: int, receive: Receive) -> None:
        self.limit, self._receive = limit, receive
        self.received = self.held = self.unseen = self.spooled = 0
        self.problem: Problem | None = None
        self._complete = False
        self._began = time.monotonic()

    async def next(self) -> Message:
        if self._complete:  # from here on, it only tells when the visitor leaves
            return await self._receive()
        left = self._began + _SILENCE + self.received / _SLOWEST - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), min(_SILENCE, left))
        except TimeoutError:
            raise self.refuse(Problem(408, "It arrives too slowly.")) from None
        self._complete = not message.get("more_body", False)
        return message

    def refuse(self, problem: Problem) -> Problem:
        problem.headers = {**(problem.headers or {}), "Connection": "close"}
        self.problem = problem
        return problem


def _too_large(limit: int) -> Problem:
    return Problem(413, f"Up to {limit / MEGABYTE:g} MB are taken here.", {"Connection": "close"})


def _full() -> Problem:
    return Problem(
        507,
        "The server has no room for uploads left; try again later.",
        {"Retry-After": "60", "Connection": "close"},
    )
