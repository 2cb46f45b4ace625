"""`/v1/video` and `/v1/jobs`: videos, segmented in the background."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response

from cfcontra.errors import InputError

from ..batcher import Busy
from ..jobs import Job, JobState
from ..problems import Problem, busy
from ..state import ServerState
from . import intake
from .description import VIDEO_BODY, binary, problems
from .segmenting import Opacity, pick, query_of_model

Id = Annotated[str, Path(description="of the job")]


class JobAnswer(BaseModel):
    """A video on its way."""

    id: str = Field(examples=["x7Qm…"])
    state: JobState
    model: str = Field(examples=["dusk.onnx"])
    frames: int = Field(description="done so far", examples=[120])
    expected: int | None = Field(description="in all, as far as the file tells", examples=[221])
    error: str | None = Field(description="why it failed")
    created: datetime
    started: datetime | None
    finished: datetime | None
    result: str | None = Field(
        description="where the segmented video is, once done", examples=["/v1/jobs/x7Qm…/result"]
    )


def video_router(state: ServerState) -> APIRouter:
    """Routes for videos."""
    router = APIRouter(prefix="/v1", tags=["videos"])
    model_query = query_of_model(state)

    @router.post(
        "/video",
        summary="Segment a video in the background",
        status_code=202,
        response_model=JobAnswer,
        responses=problems(400, 403, 408, 413, 415, 422, 429, 507),
        openapi_extra=VIDEO_BODY,
    )
    async def start(
        request: Request,
        model: str | None = model_query,
        opacity: Opacity = 0.5,
    ) -> Response:
        chosen = pick(state, model)
        async with intake.video(request, state) as upload:
            try:
                job = await run_in_threadpool(state.jobs.start, upload, chosen, opacity)
            except Busy as error:
                raise busy(str(error).capitalize(), seconds=30) from None
            except InputError as error:
                raise Problem(422, str(error)) from None
        request.state.log = {"model": chosen.name, "job": job.id[:6]}
        headers = {"Location": f"/v1/jobs/{job.id}"}
        return JSONResponse(_describe(job).model_dump(mode="json"), 202, headers)

    @router.get(
        "/jobs/{id}",
        summary="How far a video is",
        response_model=JobAnswer,
        responses=problems(404, 422),
    )
    def look(id: Id) -> JobAnswer:  # noqa: A002 - the path's own word
        return _describe(_find(state, id))

    @router.get(
        "/jobs/{id}/result",
        summary="The segmented video",
        response_class=FileResponse,
        responses={
            200: {"description": "H.264 in MP4", "content": {"video/mp4": binary()}},
            206: {"description": "a part of it", "content": {"video/mp4": binary()}},
            **problems(404, 409, 416, 422),
        },
    )
    def result(id: Id) -> FileResponse:  # noqa: A002
        job = _find(state, id)
        if job.state is not JobState.DONE:
            raise Problem(409, f"The job is {job.state.value}; there is no result.")
        return FileResponse(job.result, media_type="video/mp4", filename="segmented.mp4")

    @router.delete(
        "/jobs/{id}",
        summary="Cancel a job and delete its files",
        status_code=204,
        response_class=Response,
        responses=problems(403, 404, 422),
    )
    def cancel(id: Id) -> Response:  # noqa: A002
        state.jobs.cancel(_find(state, id))
        return Response(status_code=204)

    return router


def _find(state: ServerState, name: str) -> Job:
    job = state.jobs.get(name)
    if job is None:
        raise Problem(404, "There is no such job, or its time is over.")
    return job


def _describe(job: Job) -> JobAnswer:
    done = job.state is JobState.DONE
    return JobAnswer(
        id=job.id,
        state=job.state,
        model=job.model,
        frames=job.frames,
        expected=job.expected,
        error=job.error,
        created=_when(job.created),
        started=None if job.started is None else _when(job.started),
        finished=None if job.finished is None else _when(job.finished),
        result=f"/v1/jobs/{job.id}/result" if done else None,
    )


def _when(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
