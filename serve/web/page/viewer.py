"""The markup of `<cf-viewer>`: a picture, its classes and its legend; `viewer.js` moves it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from cfcontra.label_space import LabelSpace
from cfcontra.opencv import cv2
from cfcontra.rle import encode_masks
from cfcontra.runtime import Prediction
from cfcontra.visualize import encode_jpeg

from ..legend import ClassShare, legend_html
from .parts import OPACITY

SHOWN = 1600  # longest side of what the browser gets, in pixels
_HEAT = 640  # confidence is smooth: the network gives it at a fraction of the picture's size
_HEAT_STOPS = 9


@dataclass(frozen=True)
class Download:
    """A file that the page holds ready."""

    label: str
    name: str
    kind: str
    data: bytes

    def html(self) -> str:
        """A link that saves it."""
        return (
            f'<a class="cf-button" download="{escape(self.name)}" '
            f'href="{data_url(self.data, self.kind)}">{escape(self.label)}</a>'
        )


def viewer_html(
    picture: NDArray[np.uint8],
    prediction: Prediction,
    label_space: LabelSpace,
    shares: list[ClassShare],
    downloads: Iterable[Download],
) -> str:
    """The element for one picture.

    Args:
        picture: RGB uint8 `[H, W, 3]`.
        prediction: of this picture alone.
        label_space: of the prediction.
        shares: of the whole picture; what is shown may be smaller.
        downloads: files offered below the legend.
    """
    image = shrink(picture, SHOWN)
    height, width = image.shape[:2]
    mask = shrink_mask(prediction.mask[0], (height, width))
    result = {
        "width": width,
        "height": height,
        "image": data_url(encode_jpeg(image), "image/jpeg"),
        "heat": data_url(encode_jpeg(heat_map(prediction.confidence[0])), "image/jpeg"),
        "segments": [
            {"id": entry["id"], "counts": entry["counts"]}
            for entry in encode_masks(mask, label_space.classes)
        ],
        "names": label_space.classes,
        "colors": dict(enumerate(label_space.colors)),
    }
    seen = ", ".join(share.name for share in shares if share.area > 0)
    return f"""<cf-viewer data-result="{escape(json.dumps(result))}">
<div class="cf-bar">
  <div class="cf-switch" role="group" aria-label="What lies over the picture">
    <button type="button" data-show="classes" aria-pressed="true">Classes</button>
    <button type="button" data-show="confidence" aria-pressed="false">Confidence</button>
  </div>
  {OPACITY}
</div>
<div class="cf-stage" style="--ratio:{width / height:.4f}">
  <canvas width="{width}" height="{height}" role="img"
    aria-label="{escape(f"The picture with its classes over it: {seen}")}"></canvas>
  <span class="cf-tag cf-left">picture</span><span class="cf-tag cf-right">classes</span>
  <div class="cf-line"><span></span></div>
  <input class="cf-divider" type="range" min="0" max="1000" step="10" value="500"
    aria-label="Divider: picture to its left, classes to its right">
  <div class="cf-tip" hidden></div>
</div>
<div class="cf-scale" hidden>unsure<i style="background:linear-gradient(90deg,{_heat_gradient()})">
</i>sure</div>
<div class="cf-bar cf-files">
  <button type="button" class="cf-button cf-all">Hide all</button>
  {"".join(download.html() for download in downloads)}
</div>
{legend_html(shares)}
</cf-viewer>"""


def heat_map(confidence: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Confidence `[H, W]` as colours RGB `[h, w, 3]`: dark blue is 0, yellow is 1."""
    colored = cv2.applyColorMap(shrink(confidence, _HEAT), cv2.COLORMAP_CIVIDIS)
    return np.asarray(colored[..., ::-1], np.uint8)


def shrink(picture: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """RGB `[H, W, 3]` or grey `[H, W]` with no side over `longest`."""
    height, width = picture.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def shrink_mask(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Train ids at another `(height, width)`, by nearest."""
    if mask.shape == size:
        return mask
    return np.asarray(cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)


def data_url(data: bytes, kind: str) -> str:
    """Bytes inside a URL, so that nothing has to be stored for the browser to fetch."""
    return f"data:{kind};base64,{b64encode(data).decode('ascii')}"


def _heat_gradient() -> str:
    steps = np.linspace(0, 255, _HEAT_STOPS).astype(np.uint8)[None]
    colors = heat_map(steps)[0].tolist()
    return ",".join("rgb({},{},{})".format(*color) for color in colors)
