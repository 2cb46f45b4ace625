"""What stands before page and REST: docs/security.md names these tests."""

from __future__ import annotations

import base64
import hmac
import itertools
import json
import logging
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from serving import Server, ask, noise, png, running, running_page
from starlette.testclient import TestClient

from cfcontra.errors import InputError
from cfcontra.serve.web.guard import bodies
from cfcontra.serve.web.guard.access import read_secrets
from cfcontra.serve.web.log import JsonLines
from cfcontra.serve.web.page_gate import _is_page
from cfcontra.serve.web.scratch import Scratch
from cfcontra.serve.web.settings import Limits, Settings

TOKEN, USER = "a-long-token-0", "anna:a-long-password"
STRANGER = {"Authorization": ""}
PAGE = ("/", "/config", "/theme.css", "/ui/page.js", "/ui/page.css", "/gradio_api/app_id")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server")) as made:
        yield made


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


# Who may come in


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer", 401),
        (f"Bearer {USER}", 401),
        (basic(USER), 200),
        (basic(f"any:{TOKEN}"), 200),
        (basic("anna:wrong"), 401),
        (basic(f"bert:{USER.partition(':')[2]}"), 401),
        (basic(f"x:{USER}"), 401),
        ("Basic ???", 401),
        (f"Digest {TOKEN}", 401),
    ],
)
def test_only_who_knows_a_secret_comes_in(tmp_path: Path, header: str | None, status: int) -> None:
    with running(tmp_path, Settings(secrets=(TOKEN, USER))) as server:
        headers = {} if header is None else {"Authorization": header}
        for path in ("/v1/models", "/metrics", "/docs", "/openapi.json"):
            got = server.client.get(path, headers=headers)
            assert got.status_code == status
        if status == 401:
            # A line for each, as browsers do not all read several in one.
            asked = [scheme.split()[0] for scheme in got.headers.get_list("www-authenticate")]
            assert asked == ["Basic", "Bearer"]
            assert got.headers["content-type"] == "application/problem+json"
        assert server.client.get("/health").status_code == 200
        assert server.client.get("/ready").status_code == 200


def test_secrets_are_compared_in_constant_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []
    plain = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return plain(one, other)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    with running(tmp_path, Settings(secrets=(TOKEN, USER))) as server:
        for token in (TOKEN, "x", "x" * 1000):
            compared.clear()
            server.client.get("/v1/models", headers={"Authorization": f"Bearer {token}"})
            assert len(compared) == 2  # all of them, a match or not
            assert {len(value) for pair in compared for value in pair} == {32}


def test_secrets_come_from_a_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"# who may come in\n{TOKEN}\n\n{USER}\n")
    assert read_secrets(file, {}) == (TOKEN, USER)
    assert read_secrets(None, {"CFCONTRA_AUTH": TOKEN}) == (TOKEN,)
    assert read_secrets(None, {}) == ()
    file.chmod(0o666)
    with pytest.raises(InputError, match="chmod 600"):
        read_secrets(file, {})
    file.chmod(0o600)
    file.write_text("\n")
    with pytest.raises(InputError, match="holds no secret"):
        read_secrets(file, {})
    file.write_text("short")
    with pytest.raises(InputError, match="shorter than 8"):
        read_secrets(file, {})
    with pytest.raises(InputError, match="cannot be read"):
        read_secrets(tmp_path / "none", {})


# Under which name, and from which page


@pytest.mark.parametrize(
    ("host", "allowed", "status"),
    [
        ("127.0.0.1:7860", (), 200),
        ("localhost", (), 200),
        ("LOCALHOST.:80", (), 200),
        ("[::1]:7860", (), 200),
        ("192.168.1.7", (), 200),
        ("evil.example", (), 421),
        ("127.0.0.1.evil.example", (), 421),
        ("", (), 421),
        ("demo.example", ("demo.example",), 200),
        ("evil.example", ("demo.example",), 421),
        ("evil.example", ("*",), 200),
    ],
)
def test_foreign_names_are_not_answered_to(
    tmp_path: Path, host: str, allowed: tuple[str, ...], status: int
) -> None:
    with running(tmp_path, Settings(hosts=allowed)) as server:
        assert server.client.get("/v1/models", headers={"Host": host}).status_code == status


def test_other_sites_cannot_send_nor_read(server: Server) -> None:
    body = {"content": png(noise())}
    own = {"Origin": "http://127.0.0.1:7860"}
    assert server.client.post("/v1/segment", headers=own, **body).status_code == 200
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8000"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        got = server.client.post("/v1/segment", headers=headers, **body)
        assert got.status_code == 403
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    got = server.client.get("/v1/models", headers=foreign)
    assert got.status_code == 403
    assert not [name for name in got.headers if name.startswith("access-control")]
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert server.client.get("/docs", headers=link).status_code == 200


def test_every_answer_has_security_headers(server: Server, page: tuple[TestClient, Path]) -> None:
    client, _ = page
    answers = [server.client.get(path) for path in ("/health", "/docs", "/nothing", "/v1/models")]
    answers += [client.get(path) for path in PAGE]
    answers += [client.get("/", headers=STRANGER), client.get("/gradio_api/file=/etc/passwd")]
    assert {answer.status_code for answer in answers} == {200, 401, 403, 404}
    for answer in answers:
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        policy = headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "http" not in policy
        assert "unsafe-eval" not in policy
        assert "server" not in headers
    assert server.client.get("/v1/models").headers["cache-control"] == "no-store"


# How much


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(size // 1000):
        yield b"x" * 1000


@pytest.mark.parametrize("path", ["/v1/segment", "/v1/segment/batch", "/v1/video", "/nothing"])
def test_too_large_a_body_is_refused_before_it_is_read(tmp_path: Path, path: str) -> None:
    small = replace(Limits(), image_bytes=1000, batch_bytes=1000, video_bytes=1000)
    with running(tmp_path, Settings(small)) as server:
        got = server.client.post(path, content=b"x" * 1_100_000)
        assert got.status_code == 413
        assert got.headers["content-type"] == "application/problem+json"
        got = server.client.post(path, content=chunks(1_100_000))  # says no length
        # Where a body is not even asked for, it does not matter how long it is.
        unread = {"/nothing": 404, "/v1/segment/batch": 415}
        assert got.status_code == unread.get(path, 413)
        assert list(server.state.scratch.folder("uploads").iterdir()) == []


def test_a_form_with_too_large_a_file_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, Settings(replace(Limits(), image_bytes=2000))) as server:
        got = server.client.post("/v1/segment", files={"file": b"x" * 2001})
        assert got.status_code == 413
        many = [("files", (f"{n}", b"x")) for n in range(33)]
        assert server.client.post("/v1/segment/batch", files=many).status_code in (400, 413)


def test_uploads_share_one_memory(tmp_path: Path) -> None:
    with running(tmp_path, Settings(replace(Limits(), held_bytes=500))) as server:
        got = server.client.post("/v1/segment", content=b"x" * 501)
        assert got.status_code == 429
        assert got.headers["retry-after"]
        assert server.client.post("/v1/segment", content=b"x" * 400).status_code == 415


def test_a_full_disk_quota_takes_no_more_videos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    def used(scratch: Scratch) -> int:
        looks.append(threading.current_thread().name)
        return plain(scratch)

    plain = Scratch.used
    monkeypatch.setattr(Scratch, "used", used)
    with running(tmp_path, Settings(replace(Limits(), stored_bytes=50_000))) as server:
        (server.state.scratch.folder("jobs") / "result").write_bytes(b"x" * 25_000)
        assert server.client.post("/v1/video", content=b"x" * 20_000).status_code == 507
        assert server.client.post("/v1/video", content=b"x" * 500).status_code == 422
    assert {name.partition(" ")[0] for name in looks} == {"AnyIO"}  # nobody else has to wait


def test_a_form_counts_while_it_lies_where_no_folder_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "_CHECKED", 1000)
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    with running(tmp_path, Settings(replace(Limits(), stored_bytes=200_000))) as server:
        for size, status in ((150_000, 507), (50_000, 422), (150_000, 507), (50_000, 422)):
            sent = itertools.chain([head], chunks(size), [b"\r\n--x--\r\n"])  # says no length
            got = server.client.post("/v1/video", content=sent, headers=form)
            assert got.status_code == status
        got = server.client.post("/v1/video", content=chunks(150_000))
        assert got.status_code == 422  # shows itself


def test_compressed_bodies_are_not_unpacked(server: Server) -> None:
    got = server.client.post("/v1/segment", content=b"x", headers={"Content-Encoding": "gzip"})
    assert got.status_code == 415


# Gradio's paths


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/gradio_api/proxy=https://example.com/"),
        ("GET", "/gradio_api/file=https://example.com/"),
        ("GET", "/gradio_api/file=HTTP://169.254.169.254/"),
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/openapi.json"),
        ("POST", "/gradio_api/run/predict"),
        ("POST", "/gradio_api/call/predict"),
        ("POST", "/gradio_api/component_server"),
        ("GET", "/gradio_api/deep_link"),
        ("GET", "/gradio_api/token"),
        ("GET", "/monitoring"),
        ("GET", "/login"),
        ("POST", "/login"),
        ("GET", "/gradio_api/custom_component/1/client/component/index.js"),
        ("GET", "/gradio_api/dev/reload"),
        ("POST", "/gradio_api/run-history/connect"),
        ("GET", "/gradio_api/stream/a/b/1/playlist.m3u8"),
        ("POST", "/gradio_api/stream/a"),
        ("PUT", "/"),
    ],
)
def test_what_the_page_does_not_need_of_gradio_is_not_there(method: str, path: str) -> None:
    assert not _is_page({"type": "http", "method": method, "path": path})


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Path]]:
    """The whole application, for one who knows its secret."""
    settings = Settings(replace(Limits(), video_bytes=10_000), secrets=(TOKEN,))
    with running_page(tmp_path_factory.mktemp("page"), settings) as server:
        yield server.client, server.state.scratch.path


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", path) for path in PAGE),
        ("GET", "/gradio_api/file=/etc/passwd"),
        ("GET", "/gradio_api/queue/data?session_hash=a"),
        ("GET", "/gradio_api/heartbeat/a"),
        ("GET", "/gradio_api/info"),
        ("POST", "/gradio_api/upload"),
        ("POST", "/gradio_api/queue/join"),
        ("POST", "/v1/segment"),
    ],
)
def test_the_page_is_for_those_who_know_the_secret(
    page: tuple[TestClient, Path], method: str, path: str
) -> None:
    client, _ = page
    assert client.request(method, path, headers=STRANGER).status_code == 401
    if path in PAGE:
        assert client.request(method, path).status_code == 200


def test_the_page_gives_no_file_of_the_server_away(page: tuple[TestClient, Path]) -> None:
    client, folder = page
    assert client.get("/").status_code == 200
    for path in (
        "/etc/passwd",
        f"{folder}/in-use",
        f"{Path(__file__)}",
        f"{folder}/page/../../../etc/passwd",
    ):
        got = client.get(f"/gradio_api/file={path}")
        assert got.status_code in (403, 404), path
    assert client.get("/assets/../../../../etc/passwd").status_code == 404


def test_the_pages_uploads_obey_the_limits_and_lie_in_the_private_folder(
    page: tuple[TestClient, Path],
) -> None:
    client, folder = page
    refused = client.post("/gradio_api/upload", files={"files": b"x" * 80_000})
    assert refused.status_code == 413
    taken = client.post("/gradio_api/upload", files={"files": ("a.png", png(noise(8, 8)))})
    assert taken.status_code == 200
    assert Path(taken.json()[0]).is_relative_to(folder)


FILE = {"meta": {"_type": "gradio.FileData"}}


@pytest.mark.parametrize("how", [FILE, {}, {**FILE, "is_stream": True}], ids=str)
@pytest.mark.parametrize("place", ["picture", "video", "model", "url"])
def test_the_page_takes_uploads_only(
    page: tuple[TestClient, Path],
    tmp_path: Path,
    opened_files: list[str],
    monkeypatch: pytest.MonkeyPatch,
    how: dict[str, Any],
    place: str,
) -> None:
    import safehttpx

    fetched: list[str] = []

    async def fetch(url: str, *_: Any, **__: Any) -> Any:
        fetched.append(url)

    monkeypatch.setattr(safehttpx, "get", fetch)
    client, folder = page
    private = tmp_path / f"private-{place}.png"
    private.write_bytes(png(noise(8, 8)))
    named = {"path": str(private), **how}
    if place == "url":
        named["path"] = f"http://pictures.example/{private.name}"
    opened_files.clear()
    if place == "video":
        said = ask(client, "click", "Segment", [named, "day", 0.5])
    elif place == "model":
        said = ask(client, "input", "Your picture", [None, 0, named])
    else:
        said = ask(client, "input", "Your picture", [named, 0, "day"])
    assert '"success":false' in said
    assert fetched == []
    assert str(private) not in opened_files
    assert not [*folder.rglob(private.name)]


def test_no_request_opens_a_model(
    page: tuple[TestClient, Path],
    tmp_path: Path,
    opened_files: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from cfcontra.serve.web import models

    def open_backend(path: Path, *_: Any, **__: Any) -> Any:
        opened_files.append(str(path))

    monkeypatch.setattr(models, "open_backend", open_backend)
    file = tmp_path / "other.onnx"
    file.write_bytes(b"a model")
    path, picture = str(file), png(noise(8, 8))
    opened_files.clear()
    client, _ = page
    with running(tmp_path, Settings(allow_urls=True)) as server:
        for name in (path, f"file://{path}", f"other={path}", f"../{file.name}", f"day={path}"):
            for route in ("/v1/segment", "/v1/segment/batch", "/v1/video"):
                got = server.client.post(route, params={"model": name}, content=picture)
                assert got.status_code == 422
                assert "no such model" in got.json()["detail"]
            assert '"success":false' in ask(client, "input", "Your picture", [None, 0, name])
            assert '"success":false' in ask(client, "click", "Segment", [None, name, 0.5])
        for field in ("model", "path"):  # is not looked at, so the default answers
            got = server.client.post("/v1/segment", files={"file": picture}, data={field: path})
            assert got.json()["model"] == "day"
            assert server.client.get(f"/v1/models?{field}={path}").status_code == 200
        for url in (f"file://{path}", path):
            assert server.client.post("/v1/segment", json={"url": url}).status_code == 422
        for route in (f"/v1/models/{path}", f"/v1/models/{file.name}", f"/v1/jobs/{path}"):
            assert server.client.get(route).status_code == 404
        assert server.client.post("/v1/models", content=picture).status_code == 405
        assert server.client.put("/v1/models/day", content=picture).status_code == 404
        assert [*server.state.models] == ["day", "dusk"]
    assert path not in opened_files


def test_an_upload_is_what_the_page_takes(page: tuple[TestClient, Path]) -> None:
    client, _ = page
    files = {"files": ("mine.png", png(noise(8, 8)))}
    [path] = client.post("/gradio_api/upload", files=files).json()
    said = ask(client, "input", "Your picture", [{"path": path, **FILE}, 0, "day"])
    assert '"success":true' in said
    assert "cf-viewer" in said


# Files


def test_the_private_folder_is_private_and_emptied(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "private")
    assert stat.S_IMODE(scratch.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(scratch.folder("jobs").stat().st_mode) == 0o700
    before = scratch.used()
    (scratch.folder("jobs") / "a").write_bytes(b"x" * 7000)
    assert scratch.used() == before + 7000
    (scratch.folder("jobs") / "the-same").hardlink_to(scratch.folder("jobs") / "a")
    assert scratch.used() == before + 7000
    (scratch.folder("jobs") / "b").touch()
    assert scratch.used() == before + 7000 + 4096  # which an empty file takes, too
    other = Scratch(tmp_path / "private")
    assert scratch.path.exists()  # of a server that lives
    scratch.close()
    assert not scratch.path.exists()
    other.close()


def test_what_a_killed_server_left_is_removed(tmp_path: Path) -> None:
    root = tmp_path / "private"
    call = (
        "import os, signal, sys; from pathlib import Path;"
        "from cfcontra.serve.web.scratch import Scratch;"
        f"s = Scratch(Path({str(root)!r})); (s.folder('jobs') / 'upload').write_text('drive');"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", call], check=False).returncode == -9
    assert len(list(root.glob("server-*/jobs/upload"))) == 1
    scratch = Scratch(root)
    assert list(root.glob("server-*")) == [scratch.path]
    scratch.close()


def test_a_folder_that_others_may_open_is_not_used(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    shared.chmod(0o755)
    with pytest.raises(InputError, match="chmod 700"):
        Scratch(shared)
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        Scratch(link)


# Logs


def test_the_log_is_a_json_line_per_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "cfcontra.serve"), running(tmp_path) as server:
        server.client.post(
            "/v1/segment?output=mask",
            content=png(noise()),
            headers={"X-Request-ID": "r1", "Authorization": "Bearer do-not-log-me"},
        )
        for path in ("/v1/jobs/SECRET-and-more/result", "/v1/jobs/SECRET-and-more/a/b"):
            server.client.get(path)
        server.client.delete("/v1/jobs/SECRET-and-more", headers={"Host": "evil.example"})
    lines = [JsonLines().format(record) for record in caplog.records if record.msg == "request"]
    entry: dict[str, Any] = json.loads(lines[0])
    assert entry["request_id"] == "r1"
    assert entry["path"] == "/v1/segment"
    assert (entry["method"], entry["status"], entry["model"]) == ("POST", 200, "day")
    assert entry["seconds"] > 0
    assert "do-not-log-me" not in "".join(lines)
    # An id is all that one needs to get at a job.
    paths = [json.loads(line)["path"] for line in lines[1:]]
    assert paths == ["/v1/jobs/SECRET…/result", "/v1/jobs/SECRET…/a/b", "/v1/jobs/SECRET…"]
