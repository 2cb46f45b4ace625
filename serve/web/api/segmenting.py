"""`/v1/segment`: pictures."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from ..models import ServedModel
from ..pictures import Pictures
from ..problems import Problem
from ..result import SegmentationResult, segmentation_result
from ..state import ServerState
from . import intake
from .answers import JPEG, JSON, PNG, Output, answer, choose
from .description import BATCH_BODY, ProblemAnswer, binary, picture_body, problems

Opacity = Annotated[float, Query(ge=0, le=1, description="of the class colours")]


class BatchEntry(BaseModel):
    """One picture of a batch: its result, or what was wrong with it."""

    file: str = Field(description="its name in the form", examples=["drive-001.jpg"])
    result: SegmentationResult | None = None
    problem: ProblemAnswer | None = None


class BatchResult(BaseModel):
    """A batch's pictures, in the order in which they were sent."""

    results: list[BatchEntry]


def segment_router(state: ServerState, pictures: Pictures) -> APIRouter:
    """Routes for pictures."""
    router = APIRouter(prefix="/v1", tags=["pictures"])
    model_query = query_of_model(state)

    @router.post(
        "/segment",
        summary="Segment a picture",
        response_class=Response,
        responses={
            200: {
                "description": "by `output`, or else by the `Accept` header (JSON if both leave "
                "it open): the mask as an indexed PNG of class ids, the picture with the classes "
                "over it, the confidence as a grey PNG (255 is 1), or JSON",
                "content": {
                    JSON: {"schema": {"$ref": "#/components/schemas/SegmentationResult"}},
                    PNG: binary(),
                    JPEG: binary(),
                },
            },
            **problems(400, 403, 406, 408, 413, 415, 422, 429, 502, 504),
        },
        openapi_extra=picture_body(state.settings.allow_urls),
    )
    async def segment(
        request: Request,
        model: str | None = model_query,
        output: Annotated[Output | None, Query(description="what to answer with")] = None,
        opacity: Opacity = 0.5,
    ) -> Response:
        chosen = pick(state, model)
        form, media_type = choose(output, request.headers.get("accept"))
        request.state.log = {"model": chosen.name}
        pictures.check_room()
        data = await intake.picture(request, state, pictures.admit)
        make = answer(form, media_type, chosen, opacity)
        with pictures.admit():
            return await pictures.segment(data, chosen, make)

    @router.post(
        "/segment/batch",
        summary="Segment several pictures",
        response_model=BatchResult,
        responses=problems(400, 403, 408, 413, 415, 422, 429),
        openapi_extra=BATCH_BODY,
    )
    async def segment_batch(request: Request, model: str | None = model_query) -> Response:
        chosen = pick(state, model)
        request.state.log = {"model": chosen.name}
        pictures.check_room()
        files = await intake.pictures(request, state)
        if not files:
            raise Problem(400, "Send at least one picture in the field 'files'.")

        async def entry(name: str, data: bytes) -> BatchEntry:
            try:
                result = await pictures.segment(
                    data, chosen, lambda _, prediction: segmentation_result(prediction, chosen)
                )
            except Problem as problem:
                return BatchEntry(file=name, problem=ProblemAnswer(**problem.members()))
            return BatchEntry(file=name, result=result)

        with pictures.admit(len(files)):
            entries = await asyncio.gather(*(entry(name, data) for name, data in files))
        content = BatchResult(results=entries).model_dump_json()
        return Response(content, media_type=JSON)

    return router


def query_of_model(state: ServerState) -> Any:
    """The query parameter that names a model."""
    names = list(state.models)
    return Query(
        default=None,
        description=f"name of the model (default: {names[0]})",
        json_schema_extra={"enum": names},
    )


def pick(state: ServerState, name: str | None) -> ServedModel:
    """The model of that name, or the default.

    Raises:
        Problem: 422, there is none.
    """
    if name is None:
        return state.models.default
    if name not in state.models:
        raise Problem(422, f"There is no such model. Choose from: {', '.join(state.models)}.")
    return state.models[name]
