"""A sheet of images, lines and words, placed by pixels: a figure, to be written as PNG and SVG."""

from collections.abc import Sequence
from functools import cache

import torch
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnnotationBbox, HPacker, TextArea
from matplotlib.textpath import TextPath
from matplotlib.transforms import Bbox, TransformedBbox
from torch import Tensor

from stn.drawing.tiles import (
    INK,
    OUTLINE_COLOUR,
    TOP_COLOUR,
    Colour,
    Words,
    colours,
    fitted_size,
    placed,
)

DPI = 100
POINTS = 72 / DPI  # of a pixel


class Canvas:
    """White paper; x goes to the right and y down, in pixels of the PNG.

    Args:
        width: of the paper.
        height: of the paper.

    Attributes:
        figure: what is drawn, to be saved.
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = round(width), round(height)
        self.figure = Figure((self.width / DPI, self.height / DPI), dpi=DPI)
        self._axes = self.figure.add_axes((0, 0, 1, 1))
        self._axes.axis("off")
        self._axes.set(xlim=(0, self.width), ylim=(self.height, 0), autoscale_on=False)

    def write(
        self,
        place: tuple[float, float],
        words: str | Sequence[Words],
        size: float,
        colour: Colour = INK,
        align: tuple[float, float] = (0, 1),
    ) -> None:
        """Write a line, in parts of several colours if need be.

        Args:
            place: x, y.
            words: a text, or parts of it with their colours.
            size: of the letters.
            colour: of a text.
            align: which point of the line lies there: (0, 1) its top left, (1, 0) its bottom right.
        """
        parts = [(words, colour)] if isinstance(words, str) else words
        areas: list[Artist] = [
            TextArea(text, textprops={"color": _shade(part), "size": size * POINTS})
            for text, part in parts
        ]
        line = HPacker(children=areas, pad=0, sep=0)
        box = AnnotationBbox(line, place, frameon=False, pad=0, box_alignment=align)
        self._axes.add_artist(box)

    def picture(
        self,
        image: Tensor,
        corner: tuple[float, float],
        side: int,
        margin: int = 0,
        outline: Tensor | None = None,
        points: Tensor | None = None,
        grid: Tensor | None = None,
    ) -> None:
        """Draw an image as large as fits into a square, in its middle, as `tiles.tile` does.

        Args:
            image: (C, H, W) or (H, W) in [0, 1].
            corner: of the square, top left.
            side: of the square.
            margin: how far round the square lines and dots are seen.
            outline: closed line (4 n + 1, 2) that starts with its top side.
            points: dots (K, 2).
            grid: (H', W', 2), a dot each, in the colour of its place in the grid; and lines.
        """
        height, width = fitted_size(image, side)
        left, top = corner[0] + (side - width) // 2, corner[1] + (side - height) // 2
        self._axes.imshow(
            (colours(image.float().cpu()).clamp(0, 1) * 255).round().byte().numpy(),
            extent=(left, left + width, top + height, top),
            interpolation="none",
            aspect="auto",
        )

        def place(positions: Tensor) -> Tensor:
            return placed(positions, image, (height, width)) + torch.tensor([left, top])

        marks: list[Artist] = []
        if grid is not None:
            marks += self._lattice(place(grid), side)
        if outline is not None:
            marks += self._outline(place(outline), side)
        if points is not None:
            marks += self._dots(place(points), side)
        ends = (corner[0] - margin, corner[1] - margin), (side + 2 * margin, side + 2 * margin)
        for mark in marks:
            mark.set_clip_box(
                TransformedBbox(Bbox.from_bounds(*ends[0], *ends[1]), self._axes.transData)
            )

    def bar(self, corner: tuple[float, float], size: tuple[float, float], colour: Colour) -> None:
        """Fill a rectangle."""
        x, y = corner
        self._axes.fill(
            [x, x + size[0], x + size[0], x], [y, y, y + size[1], y + size[1]], color=_shade(colour)
        )

    def _outline(self, places: Tensor, side: int) -> list[Line2D]:
        x, y = places.T
        num_top, width = len(places) // 4, side / 40 * POINTS
        whole = self._axes.plot(x, y, color=_shade(OUTLINE_COLOUR), linewidth=width)
        top = x[: num_top + 1], y[: num_top + 1]
        return whole + self._axes.plot(*top, color=_shade(TOP_COLOUR), linewidth=width)

    def _dots(self, places: Tensor, side: int) -> list[Line2D]:
        """Draw dots with a rim, so that they show on lines and strokes."""
        x, y = places.T
        size, rim = side / 13 * POINTS, side / 90 * POINTS
        dots = self._axes.plot(x, y, "o", markersize=size, color=_shade(OUTLINE_COLOUR))
        dots[0].set(markeredgewidth=rim, markeredgecolor="white")
        return dots

    def _lattice(self, places: Tensor, side: int) -> list[Artist]:
        """Draw lines along rows and columns, and dots whose colour tells row and column."""
        marks: list[Artist] = []
        for line in (*places, *places.transpose(0, 1)):
            marks += self._axes.plot(*line.T, color="0.6", linewidth=side / 600, alpha=0.6)
        down, right = (torch.linspace(0, 1, num) for num in places.shape[:2])
        down, right = torch.meshgrid(down, right, indexing="ij")
        shades = torch.stack([0.15 + 0.85 * right, 0.75 - 0.35 * down, 1 - 0.9 * right], dim=2)
        (x, y), colours = places.flatten(0, 1).T, shades.flatten(0, 1).numpy()
        return [*marks, self._axes.scatter(x, y, s=(side / 90) ** 2, c=colours, zorder=3)]


@cache
def text_width(text: str, size: float) -> float:
    """Return how many pixels a line is wide."""
    return TextPath((0, 0), text, size=size).get_extents().width if text.strip() else 0.0


def _shade(colour: Colour) -> tuple[float, ...]:
    return tuple(part / 255 for part in colour)
