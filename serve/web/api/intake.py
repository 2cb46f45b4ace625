"""Taking uploads out of requests: a form's files, or the body as it is."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from ..problems import Problem
from ..state import ServerState

_PLAIN = ("", "application/octet-stream", "application/x-www-form-urlencoded")
_BLOCK = 1 << 20

T = TypeVar("T")
Place = Callable[[], AbstractContextManager[None]]


def content_type(request: Request) -> str:
    """The body's media type, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def picture(request: Request, state: ServerState, place: Place) -> bytes:
    """The one picture of a request.

    Args:
        request: what came.
        state: of the server.
        place: held while a picture is fetched; one that is sent takes none before it is here.

    Raises:
        Problem: none, several, or in a form that is not taken.
    """
    kind = content_type(request)
    if kind == "multipart/form-data":
        return _only(await pictures(request, state, ("file",)))[1]
    if kind == "application/json":
        return await _by_url(request, state, place)
    _check_plain(kind, "image")
    return await request.body()


async def pictures(
    request: Request, state: ServerState, fields: tuple[str, ...] = ("files", "file")
) -> list[tuple[str, bytes]]:
    """Names and contents of a form's files.

    Raises:
        Problem: not a form, too many files, or one too large.
    """
    limits = state.settings.limits
    if content_type(request) != "multipart/form-data":
        raise Problem(415, "Send a form (multipart/form-data) with the pictures as 'files'.")
    async with request.form(max_files=limits.batch_files + 1, max_fields=10) as form:
        found = _files(form, fields)
        if len(found) > limits.batch_files:
            raise Problem(413, f"Up to {limits.batch_files} pictures are taken in one request.")
        for upload in found:
            if (upload.size or 0) > limits.image_bytes:
                raise Problem(413, f"{upload.filename}: {_megabytes(limits.image_bytes)} at most.")
        return [(upload.filename or "", await upload.read()) for upload in found]


@asynccontextmanager
async def video(request: Request, state: ServerState) -> AsyncIterator[Path]:
    """The video of a request, in a file that is gone afterwards unless it was moved away.

    Raises:
        Problem: none, several, or in a form that is not taken.
    """
    kind = content_type(request)
    path = state.scratch.folder("uploads") / secrets.token_hex(16)
    try:
        if kind == "multipart/form-data":
            await _save_form(request, path)
        else:
            _check_plain(kind, "video")
            await _save_body(request, path)
        if path.stat().st_size == 0:
            raise Problem(400, "The upload is empty. Send a video's file.")
        yield path
    finally:
        path.unlink(missing_ok=True)


def _check_plain(kind: str, wanted: str) -> None:
    """Refuse a body that says to be neither of the wanted kind nor just bytes."""
    if kind not in _PLAIN and not kind.startswith(f"{wanted}/"):
        raise Problem(
            415, f"Content-Type {kind}: send {wanted}/*, application/octet-stream or a form."
        )


def _files(form: FormData, fields: tuple[str, ...]) -> list[UploadFile]:
    return [
        value
        for name, value in form.multi_items()
        if name in fields and isinstance(value, UploadFile)
    ]


def _only(found: list[T]) -> T:
    if len(found) != 1:
        raise Problem(400, f"Send one file in the field 'file'; {len(found)} came.")
    return found[0]


async def _save_form(request: Request, path: Path) -> None:
    async with request.form(max_files=2, max_fields=10) as form:
        upload = _only(_files(form, ("file",)))
        with path.open("xb") as stored:
            await run_in_threadpool(shutil.copyfileobj, upload.file, stored, _BLOCK)


async def _save_body(request: Request, path: Path) -> None:
    gathered = bytearray()
    with path.open("xb") as stored:
        async for chunk in request.stream():
            gathered += chunk
            if len(gathered) >= _BLOCK:
                await run_in_threadpool(stored.write, bytes(gathered))
                gathered.clear()
        stored.write(gathered)


async def _by_url(request: Request, state: ServerState, place: Place) -> bytes:
    if not state.settings.allow_urls:
        raise Problem(
            415,
            "Pictures are not fetched by this server. Send the file, or start it with "
            "--allow-urls.",
        )
    from ..fetching import fetch

    try:
        asked = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise Problem(400, "The body is not JSON.") from None
    url = asked.get("url") if isinstance(asked, dict) else None
    if not isinstance(url, str):
        raise Problem(422, 'Send {"url": "https://…"}.')
    with place():
        return await fetch(url, state.settings.limits.image_bytes)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:g} MB"
