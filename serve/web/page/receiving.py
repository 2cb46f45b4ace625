"""Files that visitors upload to the page."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from gradio.route_utils import upload_fn
from gradio.routes import file_upload_statuses
from starlette.formparsers import MultiPartException
from starlette.responses import JSONResponse, PlainTextResponse, Response

from ..state import ServerState


def upload_router(state: ServerState) -> APIRouter:
    """The route that takes an upload, in place of Gradio's own.

    Gradio's leaves behind what did not come whole, and parts of a form that it does not use. Here
    a form has a folder of its own while it arrives, and that is gone in any case.
    """
    router = APIRouter()

    @router.post("/gradio_api/upload")
    async def upload(
        request: Request, upload_id: Annotated[str | None, Query(max_length=64)] = None
    ) -> Response:
        name = secrets.token_urlsafe(16)
        arriving = state.scratch.folder("uploads") / name
        try:
            files, _, _ = await upload_fn(
                request,
                arriving,
                state.settings.limits.video_bytes,
                upload_id,
                upload_progress=file_upload_statuses if upload_id else None,
            )
            if len(files) != 1:
                return PlainTextResponse(f"Send one file; {len(files)} came.", 400)
            [file] = map(Path, files)
            kept = state.scratch.folder("page") / name
            file.parent.rename(kept)
            return JSONResponse([str(kept / file.name)])
        except MultiPartException as error:
            too_large = "maximum allowed size" in error.message
            return PlainTextResponse(error.message, 413 if too_large else 400)
        finally:
            shutil.rmtree(arriving, ignore_errors=True)

    return router
