"""Connections that send a request's head without end, or none at all."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .problems import Problem


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 of httptools, which by itself keeps any head, and waits for it for ever.

    A head is the request's line and its headers; what follows the last piece of a chunked body
    counts too. The guard sees a request only when its head is complete.

    Attributes:
        most_bytes: of a head.
        most_seconds: from a connection, or from the first byte after an answer, to a whole head.
    """

    most_bytes = 65_536
    most_seconds = 30.0

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._unused = 0  # bytes since one completed a head or belonged to a body
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unused += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._unused > self.most_bytes:
            self._refuse(self._too_large())
        elif self._answering():
            self._unwatch()
        elif self._timer is None:
            self._watch()

    def on_headers_complete(self) -> None:
        self._unused = 0
        # One that came in a single piece was never too much to hold, but the limit is the limit.
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self.most_bytes:
            self.app = self._answer_too_large
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unused = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unused = 0
        super().on_message_complete()

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _watch(self) -> None:
        self._timer = self.loop.call_later(self.most_seconds, self._too_late)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._timer = None
        if self._unused:
            detail = f"No whole request within {self.most_seconds:g} s."
            self._refuse(Problem(408, detail, {"Connection": "close"}))
        else:  # a browser's spare connection, which asked for nothing
            self.transport.close()

    def _too_large(self) -> Problem:
        detail = f"Address and headers: up to {self.most_bytes:,} bytes are taken."
        return Problem(431, detail, {"Connection": "close"})

    async def _answer_too_large(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._too_large().response(scope)(scope, receive, send)

    def _refuse(self, problem: Problem) -> None:
        """Say why, unless another answer is under way, and close."""
        if not self._answering():
            response = problem.response({})
            status = HTTPStatus(problem.status)
            head = [b"HTTP/1.1 %d %s" % (status, status.phrase.encode())]
            head += [b"%s: %s" % header for header in response.raw_headers]
            self.transport.write(b"\r\n".join([*head, b"", bytes(response.body)]))
        self.transport.close()
