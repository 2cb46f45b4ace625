"""Videos through REST: jobs from upload to result, and every way they can end."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from av.bitstream import BitStreamFilterContext
from serving import Server, noise, running, wait_until

from cfcontra.errors import InputError
from cfcontra.serve.video import write_video
from cfcontra.serve.video.reader import VideoReader
from cfcontra.serve.web import jobs
from cfcontra.serve.web.settings import Limits, Settings

FRAMES = 12


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    write_video((noise(48, 64, seed) for seed in range(FRAMES)), path, Fraction(10))
    return path.read_bytes()


@contextmanager
def serving(folder: Path, **limits: Any) -> Iterator[Server]:
    with running(folder, Settings(replace(Limits(), **limits))) as server:
        yield server


def start(server: Server, film: bytes, path: str = "/v1/video") -> dict[str, Any]:
    got = server.client.post(path, content=film, headers={"Content-Type": "video/mp4"})
    assert got.status_code == 202, got.text
    job: dict[str, Any] = got.json()
    assert got.headers["location"] == f"/v1/jobs/{job['id']}"
    return job


def look(server: Server, job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = server.client.get(f"/v1/jobs/{job['id']}").json()
    return found


def until(server: Server, job: dict[str, Any], state: str) -> dict[str, Any]:
    wait_until(lambda: look(server, job)["state"] == state, 60)
    return look(server, job)


def files(server: Server) -> list[str]:
    private = server.state.scratch.path
    return [path.name for path in private.rglob("*") if path.is_file() and path.name != "in-use"]


def test_a_video_becomes_a_video(tmp_path: Path, film: bytes) -> None:
    with serving(tmp_path) as server:
        job = start(server, film, "/v1/video?model=dusk&opacity=1")
        assert (job["model"], job["expected"]) == ("dusk", FRAMES)
        done = until(server, job, "done")
        assert done["frames"] == FRAMES
        assert done["created"] <= done["started"] <= done["finished"]
        got = server.client.get(done["result"])
        assert got.headers["content-type"] == "video/mp4"
        with av.open(io.BytesIO(got.content)) as container:
            assert sum(1 for _ in container.decode(video=0)) == FRAMES
        part = server.client.get(done["result"], headers={"Range": "bytes=0-99"})
        assert part.status_code == 206
        assert part.content == got.content[:100]
        assert files(server) == ["segmented.mp4"]  # the upload is gone
        assert server.client.delete(f"/v1/jobs/{job['id']}").status_code == 204
        assert files(server) == []
        assert server.client.get(f"/v1/jobs/{job['id']}").status_code == 404


def test_a_form_does_as_well(tmp_path: Path, film: bytes) -> None:
    with serving(tmp_path) as server:
        got = server.client.post("/v1/video", files={"file": ("a.mp4", film)})
        assert got.status_code == 202
        until(server, got.json(), "done")
        assert server.client.post("/v1/video", files={"file": b""}).status_code == 400


def test_a_running_job_and_a_waiting_one_are_cancelled_and_leave_nothing(
    tmp_path: Path, film: bytes
) -> None:
    with serving(tmp_path) as server:
        server.backend.open.clear()
        job, next_job = start(server, film), start(server, film)
        until(server, job, "running")
        assert look(server, next_job)["state"] == "waiting"
        refused = server.client.get(f"/v1/jobs/{job['id']}/result")
        assert refused.status_code == 409
        assert server.client.delete(f"/v1/jobs/{next_job['id']}").status_code == 204
        server.backend.open.set()
        assert server.client.delete(f"/v1/jobs/{job['id']}").status_code == 204
        wait_until(lambda: files(server) == [])
        assert list(server.state.scratch.folder("jobs").iterdir()) == []
        until(server, start(server, film), "done")


def test_only_so_many_videos_wait(tmp_path: Path, film: bytes) -> None:
    with serving(tmp_path, waiting_jobs=1) as server:
        server.backend.open.clear()
        start(server, film)
        start(server, film)
        got = server.client.post("/v1/video", content=film)
        assert got.status_code == 429
        assert got.headers["retry-after"] == "30"
        assert files(server).count("upload") == 2


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        ({"video_frames": FRAMES - 1}, "up to 11 are allowed"),
        ({"video_pixels": 48 * 64 - 1}, "64×48"),
    ],
)
def test_videos_beyond_the_limits_are_refused_by_their_header(
    tmp_path: Path, film: bytes, limits: dict[str, int], what: str
) -> None:
    with serving(tmp_path, **limits) as server:
        got = server.client.post("/v1/video", content=film)
        assert got.status_code == 422
        assert what in got.json()["detail"]
        assert files(server) == []


def test_a_header_without_a_count_of_frames_tells_it_by_its_duration(
    tmp_path: Path, film: bytes
) -> None:
    with (
        av.open(io.BytesIO(film)) as source,
        av.open(str(tmp_path / "film.mkv"), "w") as copy,
    ):
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    data = (tmp_path / "film.mkv").read_bytes()
    with av.open(io.BytesIO(data)) as container:
        assert (container.streams.video[0].frames, container.streams.video[0].duration) == (0, None)
    with serving(tmp_path, video_frames=FRAMES) as server:
        job = start(server, data)
        assert job["expected"] == FRAMES
        until(server, job, "done")
    with serving(tmp_path, video_frames=FRAMES - 1) as server:
        got = server.client.post("/v1/video", content=data)
        assert got.status_code == 422
        assert files(server) == []


def test_a_header_that_lies_about_its_frames_does_not_help(
    tmp_path: Path, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cfcontra.serve.web import video_file

    monkeypatch.setattr(video_file, "check_video", lambda path, limits: 1)
    with serving(tmp_path, video_frames=4) as server:
        failed = until(server, start(server, film), "failed")
        assert "more than 4 frames" in failed["error"]
        assert failed["frames"] < FRAMES
        wait_until(lambda: files(server) == [])


SMALL, LARGER, LARGE = (64, 48), (400, 300), (640, 480)
PIXELS = 100_000


def transport_stream(size: tuple[int, int], codec: str = "libx264", cropped: bool = False) -> bytes:
    """Six grey frames of a size; `cropped`: of which 64×48 pixels are shown."""
    stored = io.BytesIO()
    quiet = {"x265-params": "log-level=error:pools=1"} if codec == "libx265" else {}
    with av.open(stored, "w", "mpegts") as container:
        stream = container.add_stream(codec, rate=25, options=quiet)
        stream.width, stream.height = size
        frames = [av.VideoFrame(*size, "yuv420p") for _ in range(6)]
        for number, frame in enumerate(frames):
            for plane in frame.planes:
                plane.update(b"\x80" * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, 25)
        packets = [packet for frame in (*frames, None) for packet in stream.encode(frame)]
        if cropped:
            right, bottom = size[0] - SMALL[0], size[1] - SMALL[1]
            options = f"crop_right={right}:crop_bottom={bottom}"
            crop = BitStreamFilterContext(f"h264_metadata={options}", stream)
            packets = [made for packet in packets for made in crop.filter(packet)]
        container.mux(packets)
    return stored.getvalue()


@pytest.mark.parametrize(
    ("size", "codec", "cropped"),
    [
        (LARGE, "libx264", False),
        (LARGER, "libx264", False),
        (LARGE, "libx264", True),
        (LARGE, "libx265", False),
        (LARGE, "mpeg2video", False),
    ],
)
def test_frames_that_become_too_large_end_the_job(
    tmp_path: Path, size: tuple[int, int], codec: str, cropped: bool
) -> None:
    film = transport_stream(SMALL, codec) + transport_stream(size, codec, cropped)
    with serving(tmp_path, video_pixels=PIXELS) as server:
        failed = until(server, start(server, film), "failed")
        assert failed["error"] == (
            "the video: a frame is larger than the 0.1 megapixels that are allowed."
        )
        wait_until(lambda: files(server) == [])
        until(server, start(server, transport_stream(SMALL)), "done")


def test_the_decoder_makes_no_room_for_what_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "film.ts"
    path.write_bytes(transport_stream(SMALL) + transport_stream(LARGE))
    for limit, seen in ((None, {*SMALL, *LARGE}), (PIXELS, {*SMALL})):
        with VideoReader(path, max_pixels=limit) as reader:
            monkeypatch.setattr(reader, "_check_size", lambda failed=False: None)
            assert {n for frame in reader._frames for n in (frame.width, frame.height)} == seen


def test_what_is_cropped_counts(tmp_path: Path) -> None:
    film = transport_stream(LARGE, cropped=True)
    with serving(tmp_path, video_pixels=PIXELS) as server:
        got = server.client.post("/v1/video", content=film)
        assert got.status_code == 422
        assert "640×480" in got.json()["detail"]
    (tmp_path / "film.ts").write_bytes(film)
    with VideoReader(tmp_path / "film.ts") as reader:
        assert (reader.format.width, reader.format.height) == SMALL
    with pytest.raises(InputError, match=r"0\.1 megapixels"):
        VideoReader(tmp_path / "film.ts", max_pixels=PIXELS)


def test_a_job_that_takes_too_long_is_ended(tmp_path: Path, film: bytes) -> None:
    with serving(tmp_path, job_seconds=0.0) as server:
        failed = until(server, start(server, film), "failed")
        assert "more than 0 seconds" in failed["error"]
        wait_until(lambda: files(server) == [])


def test_a_job_ends_where_there_is_no_room_for_its_result(
    tmp_path: Path, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_LOOK", 0.0)
    with serving(tmp_path, stored_bytes=500_000) as server:
        server.backend.open.clear()
        job = start(server, film)
        until(server, job, "running")
        other = server.state.scratch.folder("uploads") / "other"
        other.write_bytes(b"x" * 500_000)
        server.backend.open.set()
        failed = until(server, job, "failed")
        assert "no room left" in failed["error"]
        wait_until(lambda: files(server) == ["other"])
        other.unlink()
        until(server, start(server, film), "done")


def test_an_error_shows_no_folder_of_the_server(tmp_path: Path, film: bytes) -> None:
    with serving(tmp_path) as server:
        server.backend.error = RuntimeError(f"at {tmp_path}")
        failed = until(server, start(server, film), "failed")
        assert failed["error"] == "Something went wrong in the server."


def test_results_are_deleted_when_their_time_is_over(tmp_path: Path, film: bytes) -> None:
    with serving(tmp_path, kept_seconds=0) as server:
        job = start(server, film)
        wait_until(lambda: server.client.get(f"/v1/jobs/{job['id']}").status_code == 404, 60)
        assert files(server) == []


def test_results_that_nobody_asks_for_make_room_again(tmp_path: Path, film: bytes) -> None:
    with serving(tmp_path, kept_seconds=1, stored_bytes=100_000 + len(film)) as server:
        until(server, start(server, film), "done")
        room = 100_000 - server.state.scratch.used()
        (server.state.scratch.folder("jobs") / "other").write_bytes(b"x" * (room + 1))
        assert server.client.post("/v1/video", content=film).status_code == 507
        wait_until(lambda: files(server) == ["other"], 60)  # without a word to the server
        assert server.client.post("/v1/video", content=film).status_code == 202
    threads = [thread.name for thread in threading.enumerate()]
    assert "old-files" not in threads


def test_uploads_to_the_page_are_deleted_when_their_time_is_over(tmp_path: Path) -> None:
    with serving(tmp_path, kept_seconds=1) as server:
        page = server.state.scratch.folder("page")
        (page / "one").mkdir()
        (page / "one" / "street.png").write_bytes(b"x")
        (page / "link").write_bytes(b"x")
        assert sorted(files(server)) == ["link", "street.png"]
        wait_until(lambda: not [*page.iterdir()])


@pytest.mark.parametrize(
    "data",
    [
        b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"v=0\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
        b"<?xml version='1.0'?><MPD><Period/></MPD>",
        b"x" * 5000,
    ],
    ids=["hls", "concat", "sdp", "dash", "junk"],
)
def test_files_that_name_other_files_are_no_videos(tmp_path: Path, data: bytes) -> None:
    with serving(tmp_path) as server:
        assert server.client.post("/v1/video", content=data).status_code == 422
        assert files(server) == []


def test_a_list_of_the_servers_own_videos_is_none(tmp_path: Path, film: bytes) -> None:
    with serving(tmp_path) as server:
        (server.state.scratch.folder("uploads") / "other.mp4").write_bytes(film)
        listed = b"ffconcat version 1.0\nfile other.mp4\n"
        assert server.client.post("/v1/video", content=listed).status_code == 422
        assert files(server) == ["other.mp4"]
