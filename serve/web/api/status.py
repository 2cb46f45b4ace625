"""What the server says about itself: models, health, metrics."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field
from starlette.responses import PlainTextResponse

from ..legend import css_color
from ..metrics import Metrics
from ..models import ServedModel
from ..problems import Problem
from ..state import ServerState
from .description import problems


class ClassAnswer(BaseModel):
    """A class of a model."""

    id: int = Field(examples=[3])
    name: str = Field(examples=["road"])
    color: str = Field(examples=["#804080"])


class ModelAnswer(BaseModel):
    """A model that can be chosen."""

    name: str = Field(examples=["dusk.onnx"])
    default: bool = Field(description="whether it is taken when none is named")
    runtime: str = Field(examples=["onnxruntime 1.31"])
    device: str = Field(examples=["cpu"])
    work_size: tuple[int, int] = Field(
        description="height and width at which pictures are looked at", examples=[(288, 512)]
    )
    label_space: str = Field(examples=["camvid11"])
    classes: list[ClassAnswer]
    training: dict[str, Any] = Field(description="how it came about")
    certificate: dict[str, Any] = Field(description="how its export was certified; may be empty")


class Models(BaseModel):
    """All models."""

    models: list[ModelAnswer]


class Status(BaseModel):
    """In a word."""

    status: str = Field(examples=["ok"])


def status_router(state: ServerState, metrics: Metrics) -> APIRouter:
    """Routes about the server."""
    router = APIRouter(tags=["server"])

    @router.get("/v1/models", summary="Which models there are")
    def models() -> Models:
        first = state.models.default
        return Models(models=[_describe(model, model is first) for model in state.models.values()])

    @router.get("/health", summary="Whether the server runs")
    async def health() -> Status:
        return Status(status="ok")

    @router.get("/ready", summary="Whether its models answer", responses=problems(503))
    async def ready() -> Status:
        dead = [name for name, model in state.models.items() if not model.batcher.alive]
        if dead:
            raise Problem(503, "A model does not answer.", {"Retry-After": "5"})
        return Status(status="ready")

    @router.get(
        "/metrics",
        summary="Figures for Prometheus",
        response_class=PlainTextResponse,
    )
    def figures() -> PlainTextResponse:
        return PlainTextResponse(metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router


def _describe(model: ServedModel, default: bool) -> ModelAnswer:
    space = model.metadata.label_space
    return ModelAnswer(
        name=model.name,
        default=default,
        runtime=model.runtime,
        device=model.device,
        work_size=model.metadata.preprocessing.work_size,
        label_space=space.name,
        classes=[
            ClassAnswer(id=train_id, name=name, color=css_color(color))
            for train_id, (name, color) in enumerate(zip(space.classes, space.colors, strict=True))
        ],
        training=model.metadata.training,
        certificate=model.metadata.certificate,
    )
