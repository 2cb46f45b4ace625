"""What the OpenAPI document says beyond what FastAPI finds by itself."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ..problems import MEDIA_TYPE

_FILE = {"type": "string", "format": "binary"}


class ProblemAnswer(BaseModel):
    """An error, as RFC 9457 says."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Content Too Large"])
    status: int = Field(examples=[413])
    detail: str = Field(examples=["Up to 20 MB are taken here."])
    request_id: str | None = Field(default=None, examples=["b1946ac92492d234"])


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Documented errors by status."""
    schema = {"$ref": "#/components/schemas/ProblemAnswer"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


def binary() -> dict[str, Any]:
    """A media type's entry for bytes."""
    return {"schema": _FILE}


def _object(field: str, schema: dict[str, Any]) -> dict[str, Any]:
    properties = {field: schema}
    return {"schema": {"type": "object", "properties": properties, "required": [field]}}


def _body(*kinds: str, form: dict[str, Any], **more: Any) -> dict[str, Any]:
    content = {**{kind: binary() for kind in kinds}, "multipart/form-data": form, **more}
    return {"requestBody": {"required": True, "content": content}}


_URL = {
    "type": "string",
    "format": "uri",
    "description": "of a picture on the open Internet, by http or https",
    "examples": ["https://example.org/frame.jpg"],
}


def picture_body(by_url: bool) -> dict[str, Any]:
    """The body of a picture's request.

    Args:
        by_url: whether a picture may be named by its URL.
    """
    more = {"application/json": _object("url", _URL)} if by_url else {}
    return _body("image/*", "application/octet-stream", form=_object("file", _FILE), **more)


VIDEO_BODY = _body("video/*", "application/octet-stream", form=_object("file", _FILE))
BATCH_BODY = _body(form=_object("files", {"type": "array", "items": _FILE, "minItems": 1}))
