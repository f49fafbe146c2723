"""Parts house numbers from what is behind them: strokes of digits, and images without a number."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from stn.data.digit_struct import Entry

Pixels = NDArray[np.float32]  # (H, W, 3), 0 to 255
Strokes = NDArray[np.float32]  # (h, w), 1 on a stroke, 0 beside it
Box = NDArray[np.float64]  # left, top, right, bottom

HEIGHT = 48  # pixels of the tallest number that is kept: the crops show no more
SEEN = 3.2  # how much of an image is kept round its number, in heights and widths of it
LEAST_HEIGHT = 14  # pixels of a digit whose strokes are taken
LEAST_CONTRAST = 45  # between strokes and what is behind them, of a digit that is taken
INK_SHARE = (0.12, 0.6)  # of the box of a digit that is taken


class Background(NamedTuple):
    """A real image whose number was taken out.

    Attributes:
        pixels: the image without the number.
        box: where the number was.
        ink: colour (3,) of its strokes.
        contrast: distance of ink from what was behind it.
    """

    pixels: NDArray[np.uint8]
    box: Box
    ink: Pixels
    contrast: float


def take_apart(image: Image.Image, entry: Entry) -> tuple[Background, list[tuple[int, Strokes]]]:
    """Part a number from what is behind it; return that, and labels and strokes of clear digits.

    Two colours are looked for in the box of the number; ink is the one that is rarer at its rim.
    What is behind the strokes is filled in from beside them.
    """
    corners = np.hstack([entry.boxes[:, :2], entry.boxes[:, :2] + entry.boxes[:, 2:]])
    box = union(corners)
    zoom = min(1.0, HEIGHT / (box[3] - box[1]))
    centre, half = (box[:2] + box[2:]) / 2, SEEN / 2 * (box[2:] - box[:2])
    size = np.array(image.size)
    low = np.clip(np.floor(centre - half), 0, size - 1).astype(int)
    high = np.clip(np.ceil(centre + half), low + 1, size).astype(int)
    shape = np.maximum(1, np.rint(zoom * (high - low))).astype(int)
    small = image.convert("RGB").resize(
        (int(shape[0]), int(shape[1])), Image.Resampling.BILINEAR, box=(*low, *high), reducing_gap=2
    )
    to_small = np.tile(shape / (high - low), 2)
    corners = (corners - np.tile(low, 2)) * to_small
    pixels = np.asarray(small, dtype=np.float32)

    is_inside = _inside(pixels.shape[:2], corners)
    ink, ground, is_ink = _two_colours(pixels, is_inside, union(corners))
    contrast = float(np.linalg.norm(ink - ground))
    height = union(corners)[3] - union(corners)[1]
    hidden = ndimage.binary_dilation(is_ink & is_inside, iterations=1 + int(height // 20))
    filled = _fill(pixels, ~hidden, height / 8)
    axis = (ink - ground) / max(contrast, 1.0) ** 2
    strokes = np.clip((pixels - filled) @ axis, 0, 1) * is_inside
    digits = [
        (int(label), cut)
        for label, corner in zip(entry.digits.tolist(), corners, strict=True)
        if contrast >= LEAST_CONTRAST and (cut := _clear(strokes, corner)) is not None
    ]
    background = Background(np.rint(filled).astype(np.uint8), union(corners), ink, contrast)
    return background, digits


def union(corners: NDArray[np.float64]) -> Box:
    """Return the box of all boxes, whose corners (n, 4) are left, top, right and bottom."""
    return np.hstack([corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)])


def _whole(corner: Box, shape: tuple[int, ...], margin: float = 0.0) -> tuple[slice, slice]:
    """Return rows and columns of a box, as far as it is in an image."""
    x, y = margin * (corner[2] - corner[0]), margin * (corner[3] - corner[1])
    left, right = np.clip([corner[0] - x, corner[2] + x], 0, shape[1])
    top, bottom = np.clip([corner[1] - y, corner[3] + y], 0, shape[0])
    return slice(round(top), round(bottom)), slice(round(left), round(right))


def _inside(shape: tuple[int, ...], corners: NDArray[np.float64]) -> NDArray[np.bool_]:
    inside = np.zeros(shape, dtype=bool)
    for corner in corners:
        inside[_whole(corner, shape, 0.12)] = True
    return inside


def _two_colours(
    pixels: Pixels, is_inside: NDArray[np.bool_], box: Box
) -> tuple[Pixels, Pixels, NDArray[np.bool_]]:
    """Return the colours of ink and ground, and where ink is."""
    found = pixels[is_inside]
    values = (found - found.mean(axis=0)) @ np.linalg.svd(np.cov(found.T) + 1e-3 * np.eye(3))[0][
        :, 0
    ]
    is_high = values > _threshold(values)
    places = np.zeros(is_inside.shape, dtype=bool)
    places[is_inside] = is_high
    rim = is_inside & ~ndimage.binary_erosion(
        is_inside, iterations=max(1, int((box[3] - box[1]) // 12))
    )
    high_is_ink = places[rim].mean() < 0.5
    ink, ground = (is_high, ~is_high) if high_is_ink else (~is_high, is_high)
    colours = [
        np.median(found[part], axis=0) if part.any() else found.mean(axis=0)
        for part in (ink, ground)
    ]
    return (*[c.astype(np.float32) for c in colours], is_inside & (places == high_is_ink))


def _threshold(values: NDArray[np.float32]) -> float:
    """Return the value that parts two groups best (Otsu 1979)."""
    counts, edges = np.histogram(values, bins=64)
    centres = (edges[:-1] + edges[1:]) / 2
    below, total = counts.cumsum(), counts.sum()
    sums = (counts * centres).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (sums[-1] * below / total - sums) ** 2 / (below * (total - below))
    return float(edges[1:][np.nanargmax(np.where(np.isfinite(between), between, -1))])


def _fill(pixels: Pixels, is_known: NDArray[np.bool_], sigma: float) -> Pixels:
    """Fill what is not known with the mean of what is near, and nearer than far."""
    filled, weight = pixels.copy(), np.zeros(is_known.shape, np.float32)
    open_places = ~is_known
    for width in (sigma, 3 * sigma, 9 * sigma):
        weight = ndimage.gaussian_filter(is_known.astype(np.float32), width)
        means = ndimage.gaussian_filter(pixels * is_known[..., None], (width, width, 0))
        now = open_places & (weight > 0.05)
        filled[now] = means[now] / weight[now][:, None]
        open_places &= ~now
    filled[open_places] = pixels[is_known].mean(axis=0) if is_known.any() else 128
    return filled


def _clear(strokes: Strokes, corner: Box) -> Strokes | None:
    """Return the strokes in a box where they are those of a digit: neither too few nor too many."""
    cut = strokes[_whole(corner, strokes.shape)]
    if cut.shape[0] < LEAST_HEIGHT or cut.shape[1] < 4:
        return None
    is_clear = ((cut < 0.25) | (cut > 0.7)).mean() > 0.75
    corners = cut[:: cut.shape[0] - 1, :: cut.shape[1] - 1].mean()
    rim = max(cut[0].mean(), cut[-1].mean(), cut[:, 0].mean(), cut[:, -1].mean())
    is_clear &= rim < 0.8 and corners < 0.6
    return cut if is_clear and INK_SHARE[0] < cut.mean() < INK_SHARE[1] else None
