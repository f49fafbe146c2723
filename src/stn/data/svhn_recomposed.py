"""New house numbers out of a few real ones: real strokes, other real images, real layouts.

Two thousand images teach a network with five heads little. Here the strokes of a number are taken
out of its image, and those of other digits, of real ones and of fonts, are set in where digits
stand in some other number. Not of the paper: such images are stand-ins, and are marked as that.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from inspect import getsource
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from stn.data.digit_struct import Entry
from stn.files.verified import DataError

Pixels = NDArray[np.float32]  # (H, W, 3), 0 to 255
Strokes = NDArray[np.float32]  # (h, w), 1 on a stroke, 0 beside it
Box = NDArray[np.float64]  # left, top, right, bottom
Alphabet = dict[int, list[Strokes]]

HEIGHT = 48  # pixels of the tallest number that is kept: the crops show no more
SEEN = 3.2  # how much of an image is kept round its number, in heights and widths of it
MOST_REAL = 4000  # images that are taken apart: more than fit would fill the memory
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


class Recomposition:
    """Makes numbers from real training images.

    Args:
        count: numbers to make.
        font_share: share of them that are written in a font, from 0 to 1.
        fonts: folder of TrueType and OpenType files, at any depth; None where `font_share` is 0.
        seed: of all that is drawn.

    Raises:
        ValueError: a number is out of range.
    """

    def __init__(self, count: int, font_share: float, fonts: str | None, seed: int) -> None:
        if count < 1 or not 0 <= font_share <= 1 or (font_share > 0 and fonts is None):
            raise ValueError(
                "wanted are a count from 1 up, a share of fonts from 0 to 1, and a folder of fonts"
                f" where the share is not 0, not {count}, {font_share} and {fonts}"
            )
        self.count, self.font_share, self.fonts, self.seed = count, font_share, fonts, seed

    def key(self) -> list[Any]:
        """Return what the numbers depend on besides the images: this code, too."""
        fonts = self._fonts()
        names = [(str(path), path.stat().st_size) for path in fonts]
        return [self.count, self.font_share, self.seed, names, getsource(sys.modules[__name__])]

    def images(
        self, entries: Sequence[Entry], image_of: Callable[[Entry], Image.Image]
    ) -> Iterator[tuple[Image.Image, Entry]]:
        """Make the numbers one after the other; each depends on the seed and its place alone.

        Args:
            entries: real numbers whose digits, backgrounds and places are used.
            image_of: opens the image of an entry.

        Raises:
            DataError: there are no fonts; or no strokes of some digit can be taken from the images.
        """
        with ThreadPoolExecutor() as threads:
            used = entries[:MOST_REAL]
            taken = [*threads.map(lambda entry: take_apart(image_of(entry), entry), used)]
            backgrounds = [background for background, _ in taken]
            inks = np.stack([background.ink for background in backgrounds])
            written: Alphabet = {label: [] for label in range(10)}
            for _, digits in taken:
                for label, strokes in digits:
                    written[label].append(strokes)
            if missing := [label for label, found in written.items() if not found]:
                raise DataError(f"no image has strokes of the digits {missing} that can be taken")
            alphabets = [found for path in self._fonts() if (found := _alphabet(path))]

            def make(number: int) -> tuple[Image.Image, Entry]:
                random = np.random.default_rng([self.seed, number])
                is_printed = random.uniform() < self.font_share
                alphabet = alphabets[random.integers(len(alphabets))] if is_printed else written
                background = backgrounds[random.integers(len(backgrounds))]
                layout = entries[int(random.integers(len(entries)))]
                return compose(random, layout, background, inks, alphabet)

            yield from threads.map(make, range(self.count))

    def _fonts(self) -> list[Path]:
        if self.font_share == 0:
            return []
        folder = Path(str(self.fonts))
        files = sorted(path for end in ("ttf", "otf") for path in folder.rglob(f"*.{end}"))
        if not files:
            raise DataError(f"no TrueType or OpenType file in {folder}: `make fonts` fetches some")
        return files


def take_apart(image: Image.Image, entry: Entry) -> tuple[Background, list[tuple[int, Strokes]]]:
    """Part a number from what is behind it; return that, and labels and strokes of clear digits.

    Two colours are looked for in the box of the number; ink is the one that is rarer at its rim.
    What is behind the strokes is filled in from beside them.
    """
    corners = np.hstack([entry.boxes[:, :2], entry.boxes[:, :2] + entry.boxes[:, 2:]])
    box = _union(corners)
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
    ink, ground, is_ink = _two_colours(pixels, is_inside, _union(corners))
    contrast = float(np.linalg.norm(ink - ground))
    height = _union(corners)[3] - _union(corners)[1]
    hidden = ndimage.binary_dilation(is_ink & is_inside, iterations=1 + int(height // 20))
    filled = _fill(pixels, ~hidden, height / 8)
    axis = (ink - ground) / max(contrast, 1.0) ** 2
    strokes = np.clip((pixels - filled) @ axis, 0, 1) * is_inside
    digits = [
        (int(label), cut)
        for label, corner in zip(entry.digits.tolist(), corners, strict=True)
        if contrast >= LEAST_CONTRAST and (cut := _clear(strokes, corner)) is not None
    ]
    background = Background(np.rint(filled).astype(np.uint8), _union(corners), ink, contrast)
    return background, digits


def compose(
    random: np.random.Generator,
    layout: Entry,
    background: Background,
    inks: Pixels,
    alphabet: Alphabet,
) -> tuple[Image.Image, Entry]:
    """Write digits like those of a layout, at places like its, onto a background."""
    corners = np.hstack([layout.boxes[:, :2], layout.boxes[:, :2] + layout.boxes[:, 2:]])
    size = _union(corners)[2:] - _union(corners)[:2]
    old = background.box[2:] - background.box[:2]
    scale = np.clip(size[1], 10, HEIGHT) / size[1]
    zoom = (
        scale
        * size[1]
        / old[1]
        * np.array([np.clip(size[0] / size[1] / (old[0] / old[1]), 0.7, 1.5), 1])
    )
    rows, columns = background.pixels.shape[:2]
    shape = np.maximum(8, np.rint(zoom * [columns, rows])).astype(int)
    canvas = Image.fromarray(background.pixels).resize((int(shape[0]), int(shape[1])))
    pixels = np.asarray(canvas, dtype=np.float32)
    middle = (background.box[:2] + background.box[2:]) / 2 * shape / [columns, rows]
    corners = (
        corners - np.tile((_union(corners)[:2] + _union(corners)[2:]) / 2, 2)
    ) * scale + np.tile(middle, 2)

    glyphs = _alike(random, layout.digits.tolist(), alphabet)
    ink = np.zeros(pixels.shape[:2], np.float32)
    for glyph, corner in zip(glyphs, corners, strict=True):
        _write(ink, glyph, corner)
    height = scale * size[1]
    blur = random.uniform(0.0, 0.03) * height
    ink = ndimage.gaussian_filter(ink, blur)
    colour = background.ink + random.normal(0, 8, 3)
    if random.uniform() < 0.2 or background.contrast < 25:
        behind = pixels[ink > 0.5].mean(axis=0) if (ink > 0.5).any() else pixels.mean(axis=(0, 1))
        others = random.permutation(inks)
        colour = max(others[:4], key=lambda other: np.linalg.norm(other - behind))
    if random.uniform() < 0.3:  # a shadow, or light on an edge
        shift = random.uniform(-0.06, 0.06, 2) * height
        shade = ndimage.shift(ndimage.gaussian_filter(ink, 0.03 * height), shift, order=1)
        tone = random.choice([0.0, 255.0], p=[0.7, 0.3])
        pixels = pixels + random.uniform(0.2, 0.7) * shade[..., None] * (tone - pixels)
    strength = random.uniform(0.85, 1.0)
    pixels = pixels + strength * ink[..., None] * (colour.astype(np.float32) - pixels)
    pixels = ndimage.gaussian_filter(pixels, (*[random.uniform(0, 0.025) * height] * 2, 0))
    pixels += random.normal(0, random.uniform(0, 4), pixels.shape).astype(np.float32)
    image = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    boxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
    return image, Entry(layout.name, boxes, layout.digits)


def _union(corners: NDArray[np.float64]) -> Box:
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


def _alike(random: np.random.Generator, labels: Sequence[int], alphabet: Alphabet) -> list[Strokes]:
    """Draw strokes of the digits, all about as bold as the first."""
    first = alphabet[labels[0]][random.integers(len(alphabet[labels[0]]))]
    chosen = [first]
    for label in labels[1:]:
        those = [alphabet[label][i] for i in random.integers(len(alphabet[label]), size=8)]
        chosen.append(min(those, key=lambda strokes: abs(strokes.mean() - first.mean())))
    return chosen


def _write(ink: Strokes, glyph: Strokes, corner: Box) -> None:
    """Set strokes into a box of a picture of ink."""
    left, top = np.floor(corner[:2]).astype(int)
    width, height = np.maximum(2, np.ceil(corner[2:]).astype(int) - [left, top])
    digit = np.asarray(
        Image.fromarray(glyph).resize((int(width), int(height)), Image.Resampling.BILINEAR)
    )
    rows = slice(max(0, top), min(ink.shape[0], top + height))
    columns = slice(max(0, left), min(ink.shape[1], left + width))
    there = digit[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    if there.size:
        ink[rows, columns] = np.maximum(ink[rows, columns], there)


def _alphabet(path: Path) -> Alphabet | None:
    """Return the digits of a font, or None where it lacks one."""
    font = ImageFont.truetype(path, 40)
    alphabet: Alphabet = {}
    for label in range(10):
        box = font.getbbox(str(label))
        canvas = Image.new("L", (int(box[2] - box[0]), int(box[3] - box[1])))
        if min(canvas.size) < 4:
            return None
        ImageDraw.Draw(canvas).text((-box[0], -box[1]), str(label), fill=255, font=font)
        alphabet[label] = [np.asarray(canvas).astype(np.float32) / np.float32(255)]
    shapes = {strokes[0].tobytes() for strokes in alphabet.values()}
    return alphabet if len(shapes) == 10 else None
