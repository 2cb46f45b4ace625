"""The demo as its visitor sees it: pictures, comparisons, looks."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from demo_site import DESKTOP, PHONE, WAIT, Visit, browser, site, street, sync_api, upload, visit
from PIL import Image

__all__ = ["browser", "site", "street", "visit"]
pytestmark = pytest.mark.timeout(480)
Open = Callable[..., Visit]


def ask(visited: Visit, picture: Path, model: str, output: str) -> bytes:
    answer = visited.page.request.post(
        f"{visited.address}/v1/segment?model={model}&output={output}",
        data=picture.read_bytes(),
        headers={"Content-Type": "image/png"},
    )
    assert answer.ok
    content: bytes = answer.body()
    return content


def mask_of(visited: Visit, picture: Path, model: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(ask(visited, picture, model, "mask"))))


def save(page: Any, link: str) -> bytes:
    with page.expect_download() as waiting:
        page.get_by_role("link", name=link).click()
    return Path(waiting.value.path()).read_bytes()


def pixel(page: Any, x: float, y: float) -> list[int]:
    """Colour of the shown picture at a place, both 0 to 1."""
    found: list[int] = page.evaluate(
        """([x, y]) => {
          const canvas = document.querySelector("cf-viewer canvas");
          const at = [Math.floor(x * canvas.width), Math.floor(y * canvas.height)];
          return [...canvas.getContext("2d").getImageData(...at, 1, 1).data].slice(0, 3);
        }""",
        [x, y],
    )
    return found


def scrolls_sideways(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@pytest.mark.parametrize(
    ("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"]
)
def test_an_upload_is_segmented_as_the_api_says_and_nobody_else_is_asked(
    visit: Open, street: Path, size: tuple[int, int], scheme: str
) -> None:
    visited = visit(size, scheme)
    page = visited.page
    upload(page, street)
    said = json.loads(ask(visited, street, "day", "json"))
    rows = {
        cells[0]: (float(cells[1]), float(cells[2]))
        for cells in (
            re.findall(r"[^\t\n%<]*[^\s%<]", row.inner_text())
            for row in page.locator("cf-viewer .legend tbody tr").all()
        )
    }
    seen = {entry["name"]: entry for entry in said["classes"] if entry["pixels"]}
    assert rows.keys() == seen.keys()
    for name, (area, confidence) in rows.items():
        assert area == pytest.approx(100 * seen[name]["area"], abs=0.0501)
        assert confidence == pytest.approx(100 * seen[name]["confidence"], abs=0.0501)
    assert json.loads(save(page, "Data (JSON)")) == said
    mask = Image.open(io.BytesIO(save(page, "Mask (PNG)")))
    assert mask.mode == "P"
    assert np.array_equal(np.asarray(mask), mask_of(visited, street, "day"))
    assert visited.foreign() == []
    assert visited.errors == []
    assert not scrolls_sideways(page)


def test_a_picture_is_pasted(visit: Open, street: Path) -> None:
    visited = visit()
    page = visited.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    copied = f"data:image/png;base64,{base64.b64encode(street.read_bytes()).decode()}"
    pasted = page.locator("cf-viewer[data-ready] a[download='clipboard.json']")
    for _ in range(4):  # the button may be there before its script, and the page without focus
        page.bring_to_front()
        page.evaluate(
            """async (url) => {
              const blob = await (await fetch(url)).blob();
              await navigator.clipboard.write([new ClipboardItem({ [blob.type]: blob })]);
            }""",
            copied,
        )
        page.get_by_label("Paste from clipboard").first.click()
        with suppress(sync_api.TimeoutError):
            pasted.wait_for(timeout=WAIT / 3)
            break
    pasted.wait_for(timeout=1000)
    assert json.loads(save(page, "Data (JSON)")) == json.loads(ask(visited, street, "day", "json"))
    assert visited.errors == []


def test_divider_opacity_and_classes_change_what_is_drawn_without_the_server(
    visit: Open, street: Path
) -> None:
    visited = visit()
    page = visited.page
    upload(page, street)
    runs = visited.runs()
    picture = np.asarray(Image.open(street))
    mask = mask_of(visited, street, "day")
    said = json.loads(ask(visited, street, "day", "json"))
    own, right = picture[90, 288].astype(int), (288.5 / 320, 90.5 / 180)
    train_id = int(mask[90, 288])
    color = np.array([int(said["classes"][train_id]["color"][k : k + 2], 16) for k in (1, 3, 5)])
    near = {"abs": 12}  # the browser gets a JPEG
    assert pixel(page, 0.1, 0.5) == pytest.approx(picture[90, 32].astype(int), **near)
    assert pixel(page, *right) == pytest.approx(0.4 * own + 0.6 * color, **near)
    page.locator(".cf-opacity >> nth=0").fill("100")
    assert pixel(page, *right) == pytest.approx(color, abs=1)
    box = page.get_by_label(f"Show {said['classes'][train_id]['name']}")
    box.uncheck()
    assert pixel(page, *right) == pytest.approx(own, **near)
    box.check()
    assert pixel(page, *right) == pytest.approx(color, abs=1)
    page.get_by_role("button", name="Hide all").click()
    assert pixel(page, *right) == pytest.approx(own, **near)
    page.get_by_role("button", name="Show all").click()
    assert pixel(page, *right) == pytest.approx(color, abs=1)
    page.get_by_role("button", name="Confidence").click()
    heat = pixel(page, *right)
    assert heat != pytest.approx(color, **near)
    confidence = np.asarray(Image.open(io.BytesIO(ask(visited, street, "day", "confidence"))))
    assert heat == pytest.approx(cividis(int(confidence[90, 288])), abs=25)
    page.get_by_role("button", name="Classes").click()
    page.get_by_label(re.compile("Divider")).focus()
    page.keyboard.press("End")
    assert pixel(page, *right) == pytest.approx(own, **near)
    page.keyboard.press("Home")
    assert pixel(page, 0.1, 0.5) != pytest.approx(picture[90, 32].astype(int), **near)
    box = page.locator("cf-viewer .cf-stage").bounding_box()
    page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"])
    assert page.locator("cf-viewer").get_attribute("data-state").endswith(" 250")
    page.mouse.move(box["x"] + right[0] * box["width"], box["y"] + right[1] * box["height"])
    assert page.inner_text("cf-viewer .cf-tip") == said["classes"][train_id]["name"]
    assert visited.runs() == runs


def cividis(value: int) -> np.ndarray:
    import cv2

    row = cv2.applyColorMap(np.full((1, 1), value, np.uint8), cv2.COLORMAP_CIVIDIS)
    return row[0, 0, ::-1].astype(int)


def test_what_cannot_be_used_gives_a_message_and_the_page_lives_on(
    visit: Open, street: Path, tmp_path: Path
) -> None:
    page = visit().page
    wide = io.BytesIO()
    Image.new("1", (20_000, 3000)).save(wide, "PNG")
    for name, data, message in (
        ("broken.jpg", b"\xff\xd8\xff\xe0" + b"junk" * 50, "not a picture that can be read"),
        ("empty.png", b"", "The file is empty"),
        ("wide.png", wide.getvalue(), "more than 40 megapixels"),
    ):
        (tmp_path / name).write_bytes(data)
        page.set_input_files("input[type=file] >> nth=0", tmp_path / name)
        page.get_by_role("alert").get_by_text(message).first.wait_for()
        page.wait_for_selector("cf-viewer", state="detached")
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    page.set_input_files("input[type=file] >> nth=0", text)
    page.get_by_text("Invalid file type").first.wait_for()
    upload(page, street)


def test_examples_and_the_model_can_be_chosen(visit: Open) -> None:
    visited = visit()
    page = visited.page
    page.get_by_role("button", name="Dusk", exact=True).click()
    page.wait_for_selector("cf-viewer[data-ready] a[download='street-dusk.json']")
    before = json.loads(save(page, "Data (JSON)"))
    page.get_by_label("Model", exact=True).click()
    page.get_by_role("option", name="city").click()
    page.wait_for_selector("cf-viewer[data-ready] .legend :text('vegetation')")
    after = json.loads(save(page, "Data (JSON)"))
    assert (before["model"], after["model"]) == ("day", "city")
    visited.open_tab("Model card")
    card = page.locator(".card")
    card.get_by_role("heading", name="city").wait_for()
    text = card.inner_text()
    for part in ("19 (cityscapes19)", "96×64", "generated streets (dusk)", "Certificate", "Limits"):
        assert part in text


def test_models_are_compared_on_one_picture(visit: Open, street: Path) -> None:
    visited = visit()
    page = visited.page
    visited.open_tab("Compare")
    page.wait_for_selector("cf-blend figure.differs")
    panel = page.get_by_role("tabpanel").filter(has_text="Models")
    panel.locator("input[type=file]").set_input_files(street)
    day, dusk = mask_of(visited, street, "day"), mask_of(visited, street, "dusk")
    share = f"{100 * (day != dusk).mean():.1f} %"
    page.locator("cf-blend .share").get_by_text(share, exact=True).wait_for()
    assert page.locator("cf-blend figure").count() == 3
    page.get_by_role("checkbox", name="city").check()
    note = page.locator("cf-blend .note")
    note.wait_for()
    assert "do not have the same classes" in note.inner_text()
    assert page.locator("cf-blend figure").count() == 4
    for name in ("dusk", "city"):
        page.get_by_role("checkbox", name=name).uncheck()
    page.get_by_text("Choose at least two models").wait_for()
    assert visited.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_and_nothing_scrolls_sideways_on_a_phone(visit: Open, scheme: str) -> None:
    visited = visit(PHONE, scheme)
    page = visited.page
    assert page.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")
    for tab, ready in (
        ("Picture", "cf-viewer"),
        ("Compare", "cf-blend figure.differs"),
        ("Video", "text=Try a generated drive"),
        ("Live", "text=Start camera"),
        ("Model card", ".card h2"),
    ):
        if not page.get_by_role("tab", name=tab).is_visible():
            page.locator(".overflow-menu > button").click()
            page.locator(".overflow-dropdown").get_by_text(tab).click()
        else:
            visited.open_tab(tab)
        page.wait_for_selector(f"{ready} >> visible=true")
        assert not scrolls_sideways(page), tab
        faint = page.evaluate(CONTRAST)
        assert faint == [], tab
    page.get_by_role("button", name="Dark colours").click()
    assert page.evaluate("document.body.classList.contains('dark')") == (scheme != "dark")
    page.reload()
    page.wait_for_selector("cf-viewer[data-ready]")
    assert page.evaluate("document.body.classList.contains('dark')") == (scheme != "dark")


def test_all_of_it_can_be_reached_by_keyboard(visit: Open) -> None:
    page = visit().page
    met: dict[str, str] = {}
    for _ in range(40):
        page.keyboard.press("Tab")
        name, style = page.evaluate(
            """() => {
              const here = document.activeElement;
              if (here === document.body) return ["end", ""]; // around to the browser's own
              const label = here.labels?.[0]?.innerText ?? "";
              const name = here.getAttribute("aria-label") || here.innerText || label || here.type;
              const shown = here.matches(".cf-divider") ? here.parentElement : here;
              const style = getComputedStyle(shown);
              const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
              return [name.trim(), ring ? "ring" : style.boxShadow];
            }"""
        )
        if name != "end":
            met.setdefault(name, style)
    order = [
        next((k for k, name in enumerate(met) if wanted in name), -1)
        for wanted in (
            "Dark",
            "Picture",
            "Day",
            "Classes",
            "Opacity",
            "Divider",
            "Hide all",
            "Show",
        )
    ]
    assert -1 not in order
    assert order == sorted(order)
    assert [name for name, style in met.items() if style == "none"] == []


# The ratio of WCAG 2, for every piece of text that shows, against the nearest background behind
# it that is opaque. 4.5 to 1 is AA; 3 to 1 for large text.
CONTRAST = """() => {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith("color(srgb") ? [255 * r, 255 * g, 255 * b, a] : [r, g, b, a];
  };
  const over = (top, under) => top.slice(0, 3).map((v, k) => v * top[3] + under[k] * (1 - top[3]));
  const light = (color) => {
    const [r, g, b] = color.map((v) => v / 255).map(
      (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, text = node.textContent.trim(), at = node.parentElement;
    if (!text || !at.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (at.closest("script,style,option,svg,:disabled")) continue;
    const style = getComputedStyle(at);
    const layers = [];
    for (let up = at; up; up = up.parentElement) {
      const own = getComputedStyle(up);
      layers.push(parse(own.backgroundColor));
      if (layers.at(-1)[3] === 1) break;
    }
    const back = layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
    const [one, two] = [light(over(parse(style.color), back)), light(back)].sort((a, b) => b - a);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (one + 0.05) / (two + 0.05);
    if (ratio < (large ? 3 : 4.5)) found.push(`${text.slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return found;
}"""
