"""How much may wait on the page: events for their turn, and answers for who asked.

Gradio's own queue takes events without limit, and keeps all that it answers to a visit until the
browser fetches it, which one that only asks never does.
"""

from __future__ import annotations

import asyncio
from typing import Any

import gradio as gr
from fastapi import Request
from gradio.data_classes import PredictBodyInternal
from gradio.queueing import Queue
from gradio.server_messages import EventMessage

_NAME = 64  # characters of a visit's name
_VISITS = 2000
_UNREAD = 32  # answers that one visit leaves unread
_ALL_UNREAD = 256  # the same of all together: they are up to a few megabytes each


class Unread(asyncio.Queue[EventMessage]):
    """What a visit has not read yet, the newest of it."""

    def put_nowait(self, item: EventMessage) -> None:
        """Add an answer; the oldest goes where there are too many."""
        if self.qsize() >= _UNREAD:
            self.get_nowait()
        super().put_nowait(item)


class Visits(dict[str, asyncio.Queue[EventMessage]]):
    """The unread answers by visit, the visit that asked last at the end.

    What is answered to a visit that was forgotten meanwhile goes nowhere.
    """

    def __missing__(self, name: str) -> Unread:
        return Unread()


def bound_queue(page: gr.Blocks, waiting: int) -> None:
    """Give a page a queue with bounds.

    Args:
        page: with all of its events.
        waiting: events that may wait for their turn.
    """
    page.queue(max_size=waiting)
    queue = page._queue
    visits = Visits()
    queue.pending_messages_per_session = visits  # type: ignore[assignment]
    push = queue.push

    async def push_bounded(
        body: PredictBodyInternal, request: Request, username: str | None
    ) -> tuple[bool, Any, Any]:
        name = body.session_hash or ""
        if not 0 < len(name) <= _NAME:
            return False, f"A session hash has 1 to {_NAME} characters.", "error"
        unread = visits.pop(name, None) or Unread()
        visits[name] = unread
        if unread.qsize() >= _UNREAD:
            return False, "Read the answers that wait for you first.", "queue_full"
        _forget(queue, visits)
        return await push(body, request, username)

    queue.push = push_bounded  # type: ignore[method-assign]


def _forget(queue: Queue, visits: Visits) -> None:
    """Forget those who came longest ago, where there are too many visits or unread answers.

    Who has read everything and waits for more stays.
    """
    asked = queue.pending_event_ids_session
    for name in asked.keys() - visits.keys():
        del asked[name]
    surplus = sum(unread.qsize() for unread in visits.values()) - _ALL_UNREAD
    for name, unread in list(visits.items()):
        if surplus <= 0 and len(visits) <= _VISITS:
            break
        if unread.qsize() or not asked.get(name):
            surplus -= unread.qsize()
            del visits[name]
            asked.pop(name, None)
