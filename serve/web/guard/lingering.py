"""Answers that come before a request's body is in, as refusals do, must reach who sends it.

A connection that is closed while something still arrives is reset, and whoever was sending sees
that and not the answer: Python's clients raise a connection error, nginx answers 502.
"""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SILENCE = 2.0  # seconds without a byte
_LONGEST = 30.0  # seconds, all in all


class Lingering:
    """Takes in the rest of a body, and throws it away, before a request ends.

    The answer has been sent by then, and nothing is held for the request any more but its
    connection.

    Args:
        app: what answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _sends(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        arriving, ending = True, False

        async def received() -> Message:
            nonlocal arriving
            message = await receive()
            arriving = message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def answered(message: Message) -> None:
            nonlocal ending
            last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if last and arriving:
                ending = True
                message = {**message, "more_body": True}
            await send(message)

        await self._app(scope, received, answered)
        if not ending:
            return
        try:
            async with asyncio.timeout(_LONGEST):
                while arriving:
                    await asyncio.wait_for(received(), _SILENCE)
        except TimeoutError:
            pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _sends(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
