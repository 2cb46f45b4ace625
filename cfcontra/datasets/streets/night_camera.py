"""The camera at dusk: glare, blur, a dim corner, noise and coarse colour."""

from __future__ import annotations

import cv2
import numpy as np

from cfcontra.datasets.streets.arrays import Bytes, as_bytes
from cfcontra.datasets.streets.light import code_table
from cfcontra.datasets.streets.mesh import MATERIAL_SHIFT, Material
from cfcontra.datasets.streets.noise import add_grain, vignette
from cfcontra.datasets.streets.shot import Shot

_GLARE_OF = {
    Material.WINDOW: 0.05,
    Material.SHOP: 0.06,
    Material.SIGNAL: 0.35,
    Material.TAILLAMP: 0.45,
    Material.LAMP: 1.0,
    Material.HEADLAMP: 0.55,
}
_GLARE = code_table(lambda code: _GLARE_OF.get(Material(code >> MATERIAL_SHIFT), 0.0))
_ROOT = np.rint(np.sqrt(np.arange(256) * 255.0)).astype(np.uint8)[:, None]
_SQUARE = np.rint(np.arange(256) ** 2 / 255.0).astype(np.uint8)[:, None]


def bloom(picture: Bytes, codes: Bytes) -> Bytes:
    """Glare around whatever shines, to be added `[H, W, 3]`."""
    height, width = codes.shape
    weight = cv2.LUT(codes, _GLARE)
    bright = cv2.multiply(picture, cv2.merge([weight, weight, weight]), scale=1 / 255)
    small = (width // 4, height // 4)
    source = cv2.resize(bright, small, interpolation=cv2.INTER_AREA).astype(np.float32)
    near = cv2.GaussianBlur(source, (0, 0), width / 440)
    tiny = cv2.resize(source, (small[0] // 2, small[1] // 2), interpolation=cv2.INTER_AREA)
    wide = cv2.GaussianBlur(tiny, (0, 0), width / 176)
    glare = near * np.float32(3.4) + cv2.resize(wide, small) * np.float32(8.0)
    return as_bytes(cv2.resize(cv2.convertScaleAbs(glare), (width, height)))


def expose(image: Bytes, shot: Shot, defocus: float, smear: float) -> Bytes:
    """The frame that comes out of the camera `[H, W, 3]`.

    Args:
        image: the light that enters it.
        shot: the frame.
        defocus: how far out of focus, 0–1.
        smear: how much the camera swung during exposure, 0–1.
    """
    height, width = shot.size
    unit = width / 512
    across = unit * (0.5 * defocus + 0.7 * smear + 0.1)
    down = unit * (0.5 * defocus + 0.1)
    blurred = cv2.GaussianBlur(image, (_kernel(across), _kernel(down)), across, sigmaY=down)
    frame = cv2.cvtColor(blurred, cv2.COLOR_RGB2YCrCb)
    coarse = cv2.resize(frame, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    chroma = cv2.resize(add_grain(as_bytes(coarse), 2.0, shot.flicker), (width, height))
    luma = cv2.extractChannel(frame, 0).astype(np.float32) * vignette(height, width, 0.38)
    # Shot noise grows with the root of the signal: it is even where that root is taken.
    root = as_bytes(cv2.LUT(cv2.convertScaleAbs(luma), _ROOT))
    exposed = cv2.LUT(add_grain(root, 4.5, shot.flicker), _SQUARE)
    cv2.insertChannel(exposed, chroma, 0)
    return as_bytes(cv2.cvtColor(chroma, cv2.COLOR_YCrCb2RGB))


def _kernel(sigma: float) -> int:
    """The odd number of pixels that hold almost all of a Gaussian."""
    return 2 * max(1, round(1.8 * sigma)) + 1
