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
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from stn.data import svhn_strokes
from stn.data.digit_struct import Entry
from stn.data.svhn_strokes import HEIGHT, Background, Box, Pixels, Strokes, take_apart, union
from stn.files.verified import DataError

Alphabet = dict[int, list[Strokes]]

MOST_REAL = 4000  # images that are taken apart: more than fit would fill the memory
NEW_DIGITS = 0.5  # of the digits of a number, which are other than those of its layout


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
        code = [getsource(module) for module in (sys.modules[__name__], svhn_strokes)]
        return [self.count, self.font_share, self.seed, names, *code]

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


def compose(
    random: np.random.Generator,
    layout: Entry,
    background: Background,
    inks: Pixels,
    alphabet: Alphabet,
) -> tuple[Image.Image, Entry]:
    """Write digits at places like those of a layout onto a background."""
    labels, glyphs, corners = _arrange(random, layout, alphabet)
    box = union(corners)
    size, old = box[2:] - box[:2], background.box[2:] - background.box[:2]
    height = float(np.clip(size[1], 10, HEIGHT))
    stretch = np.clip(size[0] / size[1] / (old[0] / old[1]), 0.7, 1.5)
    shape = np.array(background.pixels.shape[1::-1])  # width, height
    wanted = np.maximum(8, np.rint(height / old[1] * shape * [stretch, 1])).astype(int)
    canvas = Image.fromarray(background.pixels).resize((int(wanted[0]), int(wanted[1])))
    pixels = np.asarray(canvas, dtype=np.float32)
    middle = (background.box[:2] + background.box[2:]) / 2 * wanted / shape
    centre = np.tile((box[:2] + box[2:]) / 2, 2)
    corners = (corners - centre) * height / size[1] + np.tile(middle, 2)
    # A background that is too small goes on as its edge, or digits would be missing.
    west, north, east, south = np.ceil(
        [*-corners[:, :2].min(axis=0), *corners[:, 2:].max(axis=0) - wanted]
    ).clip(0)
    margins = ((int(north), int(south)), (int(west), int(east)), (0, 0))
    pixels = np.pad(pixels, margins, mode="edge")
    moved = np.array([west, north])
    corners, middle = corners + np.tile(moved, 2), middle + moved

    ink = np.zeros(pixels.shape[:2], np.float32)
    for glyph, corner in zip(glyphs, corners, strict=True):
        _write(ink, glyph, corner)
    ink, corners = _tilt(random, ink, corners, middle)
    ink = ndimage.gaussian_filter(ink, random.uniform(0.0, 0.02) * height)
    pixels = _painted(random, pixels, ink, background, inks, height)
    image = Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    boxes = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
    return image, Entry(layout.name, boxes, labels)


def _arrange(
    random: np.random.Generator, layout: Entry, alphabet: Alphabet
) -> tuple[NDArray[np.int64], list[Strokes], NDArray[np.float64]]:
    """Choose the digits of a number, their strokes, and corners (n, 4) of their boxes.

    Half of the digits are those of the layout, with its boxes. The others are as wide as their own
    strokes, and the gaps between digits stay: few numbers would be learnt by heart otherwise.
    """
    others = random.integers(10, size=len(layout.digits))
    others[0] = random.integers(1, 10)
    is_new = random.uniform(size=len(others)) < NEW_DIGITS
    labels = np.where(is_new, others, layout.digits)
    glyphs = _alike(random, labels.tolist(), alphabet)
    left, top, width, height = layout.boxes.T
    own = height * [np.clip(glyph.shape[1] / glyph.shape[0], 0.15, 1) for glyph in glyphs]
    wide = np.where(labels == layout.digits, width, own)
    left = left + np.concatenate([[0], np.cumsum(wide - width)[:-1]])
    return labels, glyphs, np.stack([left, top, left + wide, top + height], axis=1)


def _tilt(
    random: np.random.Generator, ink: Strokes, corners: NDArray[np.float64], middle: NDArray[Any]
) -> tuple[Strokes, NDArray[np.float64]]:
    """Turn and slant a number a little round its middle; return it, and corners of its boxes."""
    turn = np.radians(np.clip(random.normal(0, 5), -15, 15))
    slant = np.clip(random.normal(0, 0.08), -0.25, 0.25)
    to_place = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    to_place = to_place @ [[1, slant], [0, 1]]  # of (x, y)
    back = np.linalg.inv(to_place)[::-1, ::-1]  # of (row, column)
    centre = middle[::-1]
    ink = ndimage.affine_transform(ink, back, centre - back @ centre, order=1)
    places = ((corners[:, :2] + corners[:, 2:]) / 2 - middle) @ to_place.T + middle
    halves = (corners[:, 2:] - corners[:, :2]) / 2
    # A digit fills its box but for the corners, so a turned one needs less than a turned box.
    halves = halves + 0.6 * halves[:, ::-1] * np.abs([to_place[0, 1], to_place[1, 0]])
    return ink, np.hstack([places - halves, places + halves])


def _painted(
    random: np.random.Generator,
    pixels: Pixels,
    ink: Strokes,
    background: Background,
    inks: Pixels,
    height: float,
) -> Pixels:
    """Paint ink onto a background as a camera would see it."""
    colour = background.ink + random.normal(0, 8, 3)
    if random.uniform() < 0.2 or background.contrast < 35:
        behind = pixels[ink > 0.5].mean(axis=0) if (ink > 0.5).any() else pixels.mean(axis=(0, 1))
        others = random.permutation(inks)
        colour = max(others[:4], key=lambda other: np.linalg.norm(other - behind))
    if random.uniform() < 0.3:  # a shadow, or light on an edge
        shift = random.uniform(-0.06, 0.06, 2) * height
        shade = ndimage.shift(ndimage.gaussian_filter(ink, 0.03 * height), shift, order=1)
        tone = random.choice([0.0, 255.0], p=[0.7, 0.3])
        pixels = pixels + random.uniform(0.2, 0.7) * shade[..., None] * (tone - pixels)
    pixels = pixels + ink[..., None] * (colour.astype(np.float32) - pixels)
    pixels = ndimage.gaussian_filter(pixels, (*[random.uniform(0, 0.02) * height] * 2, 0))
    gains = np.exp(random.normal(0.2, 0.2) + random.normal(0, 0.06, 3))
    mean = pixels.mean(axis=(0, 1))
    pixels = mean + gains * (pixels - mean)
    noise = random.normal(0, random.uniform(0, 5), pixels.shape)
    return (pixels + noise).astype(np.float32)


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
