"""Files made to harm, or merely odd: each has its outcome."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from PIL import Image, features
from pycocotools import mask as coco
from serving import Server, noise, png, running

from cfcontra.serve.web.decoding import TooManyPixelsError, read_picture


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("server")) as made:
        yield made


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def huge_header() -> bytes:
    """A PNG that says 50,000 × 50,000 and holds a line of it."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0" * 150_001))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A small picture with a comment that unpacks to 200 MB."""
    whole = png(noise(4, 4))
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 200_000_000, 9))
    return whole[:33] + bomb + whole[33:]


def scan_bomb(between: bytes = b"") -> bytes:
    """A progressive JPEG whose scans come again and again: little to send, long to decode."""
    whole = saved(Image.fromarray(noise(64, 64)), "JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + (whole[last:-2] + between) * 3000 + whole[-2:]


def zip_bomb() -> bytes:
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.png", b"\0" * 10_000_000)
    return stored.getvalue()


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'


@pytest.mark.parametrize(
    ("make", "status"),
    [
        (lambda: png(noise())[:2000], 422),
        (huge_header, 413),
        (lambda: SVG, 415),
        (zip_bomb, 415),
        (scan_bomb, 422),
        (lambda: scan_bomb(b"junk\xff\xff\x02\xff\xff"), 422),
        (lambda: scan_bomb(b"\xff\xe5\0\x08\xff\xd9no"), 422),  # no end: in a segment
        (lambda: b"\xff\xd8\xff\xe0" + b"junk" * 50, 415),
        (lambda: b"GIF89a" + b"\xff" * 40, 415),
        (lambda: b"%PDF-1.7\n" + b"x" * 100, 415),
        (lambda: b"#!/bin/sh\nrm -rf /\n", 415),
    ],
    ids=[
        "cut",
        "50000x50000",
        "svg",
        "zip bomb",
        "scans",
        "junk between",
        "segments between",
        "junk",
        "gif",
        "pdf",
        "script",
    ],
)
def test_what_is_made_to_harm_is_refused(
    server: Server, make: Callable[[], bytes], status: int
) -> None:
    got = server.client.post("/v1/segment", content=make())
    assert got.status_code == status
    assert got.headers["content-type"] == "application/problem+json"
    assert server.client.post("/v1/segment", content=png(noise())).status_code == 200


def test_a_comment_that_unpacks_to_much_is_not_unpacked(server: Server) -> None:
    assert server.client.post("/v1/segment", content=text_bomb()).status_code in (415, 422)


def found_mask(server: Server, data: bytes) -> np.ndarray:
    got = server.client.post("/v1/segment?output=mask", content=data)
    assert got.status_code == 200, got.text
    return np.asarray(Image.open(io.BytesIO(got.content)))


def expected_mask(server: Server, image: np.ndarray) -> np.ndarray:
    return server.backend.predict(np.ascontiguousarray(image)[None]).mask[0]


def saved(image: Image.Image, form: str, **more: object) -> bytes:
    stored = io.BytesIO()
    image.save(stored, form, **more)  # type: ignore[arg-type]
    return stored.getvalue()


def test_a_picture_that_is_something_else_too_is_only_a_picture(server: Server) -> None:
    polyglot = png(noise()) + zip_bomb() + b"<script>alert(1)</script>"
    assert np.array_equal(found_mask(server, polyglot), expected_mask(server, noise()))
    answer = server.client.post("/v1/segment?output=overlay", content=polyglot)
    assert b"script" not in answer.content
    assert b"PK\x03\x04" not in answer.content


def test_what_is_behind_or_beside_a_picture_does_not_count_as_its_scans(server: Server) -> None:
    """As with phones, which append a video, and cameras, which put pictures into the header."""
    plain = saved(Image.fromarray(noise()), "JPEG", quality=95)
    scans = b"\xff\xda\0\x02" * 200
    beside = b"\xff\xe1" + struct.pack(">H", len(scans) + 2) + scans
    expected = expected_mask(server, np.asarray(Image.open(io.BytesIO(plain))))
    for data in (plain + scans, plain[:2] + beside + plain[2:]):
        assert np.array_equal(found_mask(server, data), expected)


def test_a_limit_above_pillows_warning_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)  # warns above, refuses twice that
    data = png(noise())
    with pytest.raises(TooManyPixelsError, match=r"more than 0\.0023 megapixels"):
        read_picture(io.BytesIO(data), 2300)
    assert read_picture(io.BytesIO(data), 2400).shape == (40, 60, 3)


def test_an_odd_tag_neither_turns_nor_refuses_a_picture(server: Server) -> None:
    """Text where EXIF wants a number, beside the orientation."""
    plain = saved(Image.fromarray(noise()), "JPEG", quality=95)
    turned, unit = (0x0112, 3, 1, b"\6\0\0\0"), (0x0128, 2, 2, b"2\0\0\0")
    tags = b"".join(struct.pack("<HHI4s", *tag) for tag in (turned, unit))
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + tags + bytes(4)
    odd = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:]
    upright = np.rot90(np.asarray(Image.open(io.BytesIO(plain))), -1)
    assert np.array_equal(found_mask(server, odd), expected_mask(server, upright))


def test_exif_that_cannot_be_read_does_not_refuse_a_picture(server: Server) -> None:
    picture = Image.fromarray(noise())
    broken = saved(picture, "PNG", exif=b"Exif\0\0no TIFF header")
    assert np.array_equal(found_mask(server, broken), expected_mask(server, noise()))


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
def test_a_damaged_picture_does_not_take_its_batch_with_it(server: Server) -> None:
    good = png(noise())
    avif = saved(Image.fromarray(noise()), "AVIF")
    coded = avif.index(b"mdat") + 4
    damaged = avif[:coded] + bytes(len(avif) - coded)  # libavif's fault is a RuntimeError
    files = [("files", ("a", data)) for data in (good, damaged, good)]
    got = server.client.post("/v1/segment/batch", files=files)
    assert got.status_code == 200, got.text
    first, second, third = got.json()["results"]
    assert first["result"] == third["result"] is not None
    assert second["problem"]["status"] == 422
    assert "damaged" in second["problem"]["detail"]


@pytest.mark.parametrize("turn", range(1, 9))
def test_pictures_are_turned_upright(server: Server, turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    stored = noise()
    # Where the tag says that the first row and the first column stored are to be seen.
    shown = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.swapaxes(0, 1),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(stored),
    }
    mask = found_mask(server, saved(Image.fromarray(stored), "PNG", exif=exif))
    assert np.array_equal(mask, expected_mask(server, shown[turn]))


def test_cmyk_becomes_rgb(server: Server) -> None:
    data = saved(Image.fromarray(noise()).convert("CMYK"), "JPEG", quality=100)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.array_equal(found_mask(server, data), expected_mask(server, expected))


def test_sixteen_bits_keep_their_upper_eight(server: Server) -> None:
    grey = noise()[..., 0]
    deep = grey.astype(np.uint16) << 8 | 77
    data = saved(Image.fromarray(deep), "PNG")
    assert np.array_equal(
        found_mask(server, data), expected_mask(server, np.repeat(grey[..., None], 3, 2))
    )


def test_thirty_two_bits_are_refused(server: Server) -> None:
    data = saved(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF")
    got = server.client.post("/v1/segment", content=data)
    assert got.status_code == 422
    assert "32-bit" in got.json()["detail"]


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_counts(server: Server, form: str) -> None:
    frames = [Image.fromarray(noise(seed=n)).quantize(64).convert("RGB") for n in range(3)]
    more = {"lossless": True} if form == "WEBP" else {}
    data = saved(frames[0], form, save_all=True, append_images=frames[1:], **more)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.array_equal(found_mask(server, data), expected_mask(server, expected))


def test_transparency_is_dropped(server: Server) -> None:
    image = np.dstack((noise(), np.zeros((40, 60), np.uint8)))
    got = server.client.post("/v1/segment", content=png(image)).json()
    mask = expected_mask(server, noise())
    assert np.array_equal(coco.decode(got["classes"][0]["rle"]), mask == 0)
