"""REST, without a network: what it answers, and that the figures are right."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from serving import SPACE, RedBackend, Server, noise, png, running, wait_until

from cfcontra.serve.web.settings import Limits, Settings
from cfcontra.visualize import overlay

PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server")) as made:
        yield made


def send(server: Server, path: str = "/v1/segment", **more: Any) -> Any:
    more.setdefault("content", png(noise()))
    more.setdefault("headers", {"Content-Type": "image/png"})
    return server.client.post(path, **more)


def test_the_mask_is_the_backends_on_the_decoded_picture(server: Server) -> None:
    image = noise()
    expected = server.backend.predict(image[None]).mask[0]
    found = Image.open(io.BytesIO(send(server, "/v1/segment?output=mask").content))
    assert found.mode == "P"
    assert np.array_equal(np.asarray(found), expected)
    assert np.array_equal(
        np.asarray(found.convert("RGB")), SPACE.palette()[: SPACE.num_classes][expected]
    )


def test_json_holds_the_same_mask_and_its_figures(server: Server) -> None:
    image = noise()
    prediction = server.backend.predict(image[None])
    mask, confidence = prediction.mask[0], prediction.confidence[0] / 255.0
    found = send(server).json()
    assert (found["model"], found["width"], found["height"]) == ("day", 60, 40)
    assert found["mean_confidence"] == pytest.approx(confidence.mean())
    assert [entry["name"] for entry in found["classes"]] == list(SPACE.classes)
    for entry in found["classes"]:
        pixels = mask == entry["id"]
        assert entry["pixels"] == pixels.sum()
        assert entry["area"] == pytest.approx(pixels.mean())
        assert entry["confidence"] == pytest.approx(confidence[pixels].mean())
        assert np.array_equal(coco.decode(entry["rle"]), pixels)


def test_a_class_that_is_not_there_has_no_pixels(server: Server) -> None:
    found = send(server, content=png(np.zeros((4, 4, 3), np.uint8))).json()
    assert found["classes"][0]["area"] == 1
    absent = found["classes"][1]
    assert (absent["pixels"], absent["area"], absent["confidence"], absent["rle"]) == (
        0,
        0,
        0,
        None,
    )


def test_overlay_and_confidence_are_pictures(server: Server) -> None:
    image = noise()
    prediction = server.backend.predict(image[None])
    got = send(
        server,
        "/v1/segment?output=overlay&opacity=0.3",
        headers={"Content-Type": "image/png", "Accept": "image/png"},
    )
    expected = overlay(image, prediction.mask[0], SPACE, 0.3)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(got.content))), expected)
    got = send(server, "/v1/segment?output=confidence")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(got.content))), prediction.confidence[0])


@pytest.mark.parametrize(
    ("accept", "query", "expected"),
    [
        (None, "", "application/json"),
        ("*/*", "", "application/json"),
        ("image/png", "", "image/png"),
        ("image/jpeg", "", "image/jpeg"),
        ("image/*;q=0.5, application/json;q=0.4", "", "image/png"),
        ("text/html, */*;q=0.1", "", "application/json"),
        ("*/*", "?output=overlay", "image/jpeg"),
        ("image/png", "?output=overlay", "image/png"),
        ("application/json", "?output=json", "application/json"),
        ("application/json", "?output=mask", None),
        ("text/html", "", None),
        ("image/png;q=0", "?output=mask", None),
        ("image/png;q=none", "?output=mask", None),
    ],
)
def test_what_is_answered_is_what_is_accepted(
    server: Server, accept: str | None, query: str, expected: str | None
) -> None:
    headers = {"Content-Type": "image/png"} | ({"Accept": accept} if accept else {})
    got = send(server, f"/v1/segment{query}", headers=headers)
    assert got.headers["content-type"] == (expected or PROBLEM)
    assert got.status_code == (200 if expected else 406)


def test_what_is_too_wide_for_jpeg_is_given_as_png(server: Server) -> None:
    wide = noise(2, 65_501)
    refused = send(server, "/v1/segment?output=overlay", content=png(wide))
    assert refused.status_code == 422
    assert "Accept: image/png" in refused.json()["detail"]
    headers = {"Content-Type": "image/png", "Accept": "image/png"}
    for output in ("overlay", "mask", "confidence"):
        got = send(server, f"/v1/segment?output={output}", content=png(wide), headers=headers)
        assert Image.open(io.BytesIO(got.content)).size == (65_501, 2)
    assert send(server, "/v1/segment?output=overlay", content=png(wide[:, :65_500])).is_success


def test_a_form_does_as_well_as_a_body(server: Server) -> None:
    whole = send(server).json()
    assert server.client.post("/v1/segment", files={"file": png(noise())}).json() == whole
    # What curl says when it is told nothing.
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert send(server, headers=form).json() == whole


def test_a_model_is_chosen_by_name(server: Server) -> None:
    assert send(server, "/v1/segment?model=dusk").json()["model"] == "dusk"
    refused = send(server, "/v1/segment?model=night")
    assert refused.status_code == 422
    assert "Choose from: day, dusk." in refused.json()["detail"]
    listed = server.client.get("/v1/models").json()["models"]
    assert [(model["name"], model["default"]) for model in listed] == [
        ("day", True),
        ("dusk", False),
    ]
    assert listed[0]["classes"][3] == {"id": 3, "name": "road", "color": "#804080"}


def test_a_batch_tells_good_from_bad(server: Server) -> None:
    files = [("files", (f"{n}.png", png(noise(seed=n)))) for n in range(3)]
    files.insert(1, ("files", ("bad.png", b"no picture")))
    found = server.client.post("/v1/segment/batch", files=files).json()["results"]
    assert [entry["file"] for entry in found] == ["0.png", "bad.png", "1.png", "2.png"]
    assert found[1]["result"] is None
    assert found[1]["problem"]["status"] == 415
    for entry, seed in ((found[0], 0), (found[2], 1), (found[3], 2)):
        alone = send(server, content=png(noise(seed=seed))).json()
        assert entry["result"] == alone


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("GET", "/nothing", {}, 404),
        ("GET", "/v1/jobs/nothing", {}, 404),
        ("DELETE", "/v1/jobs/nothing", {}, 404),
        ("GET", "/v1/jobs/nothing/result", {}, 404),
        ("GET", "/docs/../secret", {}, 404),
        ("GET", "/docs/secret", {}, 404),
        ("PUT", "/v1/segment", {}, 405),
        ("POST", "/v1/segment", {"content": b""}, 400),
        ("POST", "/v1/segment", {"files": {"other": b"x"}}, 400),
        ("POST", "/v1/segment", {"content": b"x"}, 415),
        ("POST", "/v1/segment", {"content": b"x", "headers": {"Content-Type": "text/css"}}, 415),
        ("POST", "/v1/segment", {"json": {"url": "http://localhost/"}}, 415),
        ("POST", "/v1/segment?opacity=2", {"content": b"x"}, 422),
        ("POST", "/v1/segment?opacity=nan", {"content": b"x"}, 422),
        ("POST", "/v1/segment?output=film", {"content": b"x"}, 422),
        ("POST", "/v1/segment/batch", {"content": b"x"}, 415),
        ("POST", "/v1/segment/batch", {"files": {"other": b"x"}}, 400),
        ("POST", "/v1/video", {"content": b""}, 400),
        ("POST", "/v1/video", {"content": b"x"}, 422),
    ],
)
def test_errors_are_problems(
    server: Server, method: str, path: str, more: dict[str, Any], status: int
) -> None:
    got = server.client.request(method, path, **more)
    assert got.status_code == status
    assert got.headers["content-type"] == PROBLEM
    members = got.json()
    assert members["status"] == status
    assert members["type"] == "about:blank"
    assert members["title"]
    assert members["detail"]
    assert members["request_id"] == got.headers["x-request-id"]
    if status == 405:
        assert got.headers["allow"] == "POST"


def test_a_fault_of_the_servers_own_shows_no_trace(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(tmp_path) as server:
        server.backend.error = RuntimeError("secret /srv/models/day.onnx")
        got = send(server)
        assert got.status_code == 500
        assert got.headers["content-type"] == PROBLEM
        assert "secret" not in got.text
        assert "Traceback" not in got.text
        server.backend.error = None
        assert send(server).status_code == 200
    assert "secret" in caplog.text


def test_a_request_keeps_its_id_and_gets_one_if_it_has_none(server: Server) -> None:
    got = server.client.get("/health", headers={"X-Request-ID": "drive-7:a.b"})
    assert got.headers["x-request-id"] == "drive-7:a.b"
    made = [server.client.get("/health").headers["x-request-id"] for _ in range(2)]
    assert made[0] != made[1]
    odd = server.client.get("/health", headers={"X-Request-ID": "a b\x7f<script>"})
    assert odd.headers["x-request-id"].isalnum()


# Under load


def test_a_full_queue_tells_when_to_come_again(tmp_path: Path) -> None:
    with (
        running(tmp_path, Settings(replace(Limits(), queue=2))) as server,
        ThreadPoolExecutor(2) as pool,
    ):
        server.backend.open.clear()
        waiting = [pool.submit(send, server) for _ in range(2)]
        wait_until(lambda: server.backend.batches)
        wait_until(lambda: send(server).status_code == 429)
        refused = send(server)
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["content-type"] == PROBLEM
        server.backend.open.set()
        assert [one.result().status_code for one in waiting] == [200, 200]
        assert send(server).status_code == 200


def test_a_batch_that_never_fits_is_not_told_to_come_again(tmp_path: Path) -> None:
    with running(tmp_path, Settings(replace(Limits(), queue=2))) as server:
        files = [("files", (f"{n}.png", png(noise()))) for n in range(3)]
        refused = server.client.post("/v1/segment/batch", files=files)
        assert refused.status_code == 413
        assert "Up to 2 pictures" in refused.json()["detail"]
        assert server.client.post("/v1/segment/batch", files=files[:2]).status_code == 200


def test_what_takes_too_long_is_given_up(tmp_path: Path) -> None:
    with running(tmp_path, Settings(replace(Limits(), request_seconds=0.3))) as server:
        server.backend.open.clear()
        got = send(server)
        assert got.status_code == 504
        assert got.headers["content-type"] == PROBLEM
        server.backend.open.set()


def test_requests_that_wait_together_run_together(tmp_path: Path) -> None:
    with running(tmp_path, max_batch=4) as server, ThreadPoolExecutor(6) as pool:
        server.backend.open.clear()
        first = pool.submit(send, server)
        wait_until(lambda: server.backend.batches)
        others = [pool.submit(send, server, content=png(noise(seed=n))) for n in range(1, 6)]
        wait_until(lambda: server.state.models["day"].batcher.depth == 5)
        server.backend.open.set()
        assert first.result().status_code == 200
        for number, one in enumerate(others, start=1):
            expected = RedBackend().predict(noise(seed=number)[None]).mask[0]
            rle = one.result().json()["classes"][0]["rle"]
            assert np.array_equal(coco.decode(rle), expected == 0)
        assert server.backend.batches[:3] == [1, 4, 1]


# Figures


def figures(server: Server) -> dict[str, float]:
    lines = server.client.get("/metrics").text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_metrics_count_what_was_done(tmp_path: Path) -> None:
    with running(tmp_path, Settings(replace(Limits(), queue=1))) as server:
        for _ in range(3):
            send(server)
        server.client.get("/nothing")
        found = figures(server)
        route = 'method="POST",route="/v1/segment"'
        assert found[f"cfcontra_request_seconds_count{{{route}}}"] == 3
        assert found[f'cfcontra_requests_total{{{route},status="200"}}'] == 3
        assert found['cfcontra_requests_total{method="GET",route="other",status="404"}'] == 1
        assert found['cfcontra_batch_frames_sum{model="day"}'] == 3
        assert found['cfcontra_queue_frames{model="day"}'] == 0
        assert found['cfcontra_jobs{state="running"}'] == 0
        mean = noise()[..., 1].mean() / 255
        assert found['cfcontra_score{model="day",score="confidence"}'] == pytest.approx(mean)
        assert found["process_resident_memory_bytes"] > 0
        server.backend.open.clear()
        waiting = threading.Thread(target=send, args=(server,))
        waiting.start()
        wait_until(lambda: len(server.backend.batches) == 4)
        assert send(server).status_code == 429
        server.backend.open.set()
        waiting.join()
        assert figures(server)['cfcontra_errors_total{kind="busy"}'] == 1


def test_health_and_readiness_differ(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert server.client.get("/health").json() == {"status": "ok"}
        assert server.client.get("/ready").json() == {"status": "ready"}
        server.state.models["dusk"].batcher.close()
        assert server.client.get("/health").status_code == 200
        assert server.client.get("/ready").status_code == 503


# The page of the interface


def test_the_interfaces_page_comes_from_here_alone(server: Server) -> None:
    page = server.client.get("/docs").text
    assert "//" not in page
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
        assert f"docs/{asset}" in page
        assert server.client.get(f"/docs/{asset}").status_code == 200
    document = json.loads(server.client.get("/openapi.json").text)
    assert set(document["paths"]) >= {
        "/v1/segment",
        "/v1/segment/batch",
        "/v1/video",
        "/v1/jobs/{id}",
    }
    assert document["components"]["schemas"]["SegmentationResult"]["properties"]["width"][
        "examples"
    ]
