"""The REST application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.responses import Response

from cfcontra import __version__

from ..metrics import Metrics
from ..pictures import Pictures
from ..problems import Problem
from ..state import ServerState
from .description import ProblemAnswer
from .docs import docs_router
from .segmenting import segment_router
from .status import status_router
from .videos import video_router

_ABOUT = """\
Pictures are segmented at once, videos as jobs in the background. Errors are
`application/problem+json` (RFC 9457). `429` with `Retry-After` means that all places are
taken."""


def build_api(state: ServerState, metrics: Metrics, page: FastAPI | None = None) -> FastAPI:
    """REST on a server's models.

    Args:
        state: models, jobs and settings.
        metrics: what `/metrics` shows.
        page: an application that starts and stops with this one.
    """
    pictures = Pictures(state.settings.limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(pictures.close)
            if page is not None:
                await stack.enter_async_context(page.router.lifespan_context(page))
            yield

    api = FastAPI(
        title="cfcontra",
        description=_ABOUT,
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    for router in (
        segment_router(state, pictures),
        video_router(state),
        status_router(state, metrics),
        docs_router(),
    ):
        api.include_router(router)
    for kind, handler in (
        (Problem, _problem),
        (HTTPException, _http_error),
        (RequestValidationError, _invalid),
        (Exception, _unexpected),
    ):
        api.add_exception_handler(kind, handler)
    _complete(api, secured=bool(state.settings.secrets))
    return api


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response(request.scope)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    details = {
        404: "There is nothing at this address. /docs lists what there is.",
        405: f"{request.method} is not for this address.",
    }
    detail = details.get(error.status_code, str(error.detail))
    return Problem(error.status_code, detail, error.headers).response(request.scope)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"where": ".".join(str(part) for part in entry["loc"]), "what": entry["msg"]}
        for entry in error.errors()
    ]
    detail = "; ".join(f"{entry['where']}: {entry['what']}" for entry in errors)
    return Problem(422, detail, errors=errors).response(request.scope)


async def _unexpected(request: Request, _: Exception) -> Response:
    return Problem(500, "Something went wrong in the server.").response(request.scope)


def _complete(api: FastAPI, secured: bool) -> None:
    """Add to the OpenAPI document what is not seen from the routes."""

    def openapi() -> dict[str, Any]:
        if api.openapi_schema is None:
            document = get_openapi(
                title=api.title,
                version=api.version,
                description=api.description,
                routes=api.routes,
            )
            from ..result import SegmentationResult

            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for model in (ProblemAnswer, SegmentationResult):
                schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schemas.update(schema.pop("$defs", {}))
                schemas[model.__name__] = schema
            if secured:
                document["components"]["securitySchemes"] = {
                    "token": {"type": "http", "scheme": "bearer"},
                    "password": {"type": "http", "scheme": "basic"},
                }
                document["security"] = [{"token": []}, {"password": []}]
            api.openapi_schema = document
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]
