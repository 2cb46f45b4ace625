"""Requests that schemathesis makes up from the OpenAPI document, and what comes back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from serving import noise, png, running  # noqa: E402

from cfcontra.serve.web import fetching  # noqa: E402
from cfcontra.serve.web.settings import Settings  # noqa: E402

pytestmark = pytest.mark.timeout(600)
EXAMPLES = 12
HOST = {"Host": "127.0.0.1"}


OPERATIONS = [
    "POST /v1/segment",
    "POST /v1/segment/batch",
    "POST /v1/video",
    "GET /v1/jobs/{id}",
    "DELETE /v1/jobs/{id}",
    "GET /v1/jobs/{id}/result",
    "GET /v1/models",
    "GET /health",
    "GET /ready",
    "GET /metrics",
]


@pytest.fixture(scope="module")
def interface(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Operations by name, of a server that fetches pictures, all of them the same."""

    async def fetch(url: str, max_bytes: int) -> bytes:
        return png(noise())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fetching, "_follow", fetch)
        yield from operations(tmp_path_factory.mktemp("server"))


def operations(folder: Path) -> Iterator[dict[str, Any]]:
    with running(folder, Settings(allow_urls=True)) as server:

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "lifespan":
                await server.client.app(scope, receive, send)
                return
            # Each of schemathesis' calls would start the server, and end it.
            for event in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{event}.complete"})

        schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=HOST)
        found = [result.ok() for result in schema.get_all_operations()]
        yield {f"{operation.method.upper()} {operation.path}": operation for operation in found}


def test_every_operation_is_tried(interface: dict[str, Any]) -> None:
    assert sorted(interface) == sorted(OPERATIONS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_answers_are_as_documented(interface: dict[str, Any], name: str) -> None:
    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=interface[name].as_strategy())
    def try_it(case: Any) -> None:
        # That bytes are a picture, no schema can say.
        case.validate_response(
            case.call(headers=HOST),
            excluded_checks=[schemathesis.checks.CHECKS.get_one("positive_data_acceptance")],
        )

    try_it()


@pytest.mark.parametrize("allowed", [False, True])
def test_that_a_picture_may_be_named_by_its_url_is_described_where_it_may(
    tmp_path: Path, allowed: bool
) -> None:
    with running(tmp_path, Settings(allow_urls=allowed)) as server:
        document = server.client.get("/openapi.json").json()
        content = document["paths"]["/v1/segment"]["post"]["requestBody"]["content"]
        assert ("application/json" in content) == allowed
        if allowed:
            schema = content["application/json"]["schema"]
            assert (list(schema["properties"]), schema["required"]) == (["url"], ["url"])


def test_every_documented_answer_of_a_picture_can_be_had(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        document = server.client.get("/openapi.json").json()
        content = document["paths"]["/v1/segment"]["post"]["responses"]["200"]["content"]
        for media_type in content:
            got = server.client.post(
                "/v1/segment", content=png(noise()), headers={"Accept": media_type}
            )
            assert got.headers["content-type"] == media_type
