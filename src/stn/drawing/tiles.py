"""One image as a tile of a picture, with the outline and points that a transformer reads.

Positions are normalised as everywhere: -1 and 1 are the centres of the border pixels.
"""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image, ImageDraw
from torch import Tensor

PAPER = (255, 255, 255)
OUTLINE_COLOUR = (255, 112, 0)
TOP_COLOUR = (0, 150, 255)
INK, FAINT, GOOD, BAD = (20, 20, 20), (105, 105, 105), (0, 120, 60), (200, 30, 30)
FINER = 4  # drawn this much larger and then reduced, so that lines are smooth
FAR = 50.0  # as good as infinity, and no trouble for integers of Pillow

Colour = tuple[int, int, int]
Words = tuple[str, Colour]

LEGEND: list[Words] = [
    ("orange", OUTLINE_COLOUR),
    (": border of the output in the input, its top side ", FAINT),
    ("blue", TOP_COLOUR),
    ("; dots: control points of the spline, or corners", FAINT),
]


def tile(
    image: Tensor,
    side_px: int,
    margin_px: int = 0,
    outline: Tensor | None = None,
    points: Tensor | None = None,
) -> Image.Image:
    """Draw an image as large as fits into a square, in its middle, with lines and dots over it.

    Args:
        image: (C, H, W) or (H, W) in [0, 1]. One channel is grey, two are red and green, three are
            a colour, whose 0 is the middle where some are negative, as in images without their
            mean; of more the mean is drawn as grey, its largest value white.
        side_px: side of the square.
        margin_px: paper on each side of the square, where lines that leave the image go on.
        outline: closed line (4 n + 1, 2) that starts with its top side, which is drawn in
            `TOP_COLOUR`; positions that are not finite leave a gap.
        points: dots (K, 2).
    """
    side, margin = side_px * FINER, margin_px * FINER
    pixels = colours(image.float().cpu())  # (H, W, 3)
    height, width = fitted_size(image, side)
    left, top = margin + (side - width) // 2, margin + (side - height) // 2
    sheet = Image.new("RGB", (side + 2 * margin, side + 2 * margin), PAPER)
    picture = Image.fromarray((pixels.clamp(0, 1) * 255).round().byte().numpy())
    sheet.paste(picture.resize((width, height), Image.Resampling.NEAREST), (left, top))

    def place(positions: Tensor) -> Tensor:
        return placed(positions, image, (height, width)) + torch.tensor([left, top])

    if outline is not None:
        _draw_outline(sheet, place(outline), thickness=max(1, side // 40))
    if points is not None:
        _draw_dots(sheet, place(points), radius=side / 32)
    return sheet.reduce(FINER)


def fitted_size(image: Tensor, side_px: int) -> tuple[int, int]:
    """Return (height, width) of an image (..., H, W) that fills a square, in its proportions."""
    scale = side_px / max(image.shape[-2:])
    height, width = (max(1, round(length * scale)) for length in image.shape[-2:])
    return height, width


def placed(positions: Tensor, image: Tensor, size_px: tuple[int, int]) -> Tensor:
    """Return where positions (..., 2) of an image lie, (x, y) from its top left, in pixels.

    Args:
        positions: normalised.
        image: (..., H, W).
        size_px: height and width that it is drawn at.
    """
    sides = torch.tensor([image.shape[-1], image.shape[-2]])
    shares = ((positions.cpu().double().clamp(-FAR, FAR) + 1) / 2 * (sides - 1) + 0.5) / sides
    return shares * torch.tensor(size_px[::-1])


def colours(image: Tensor) -> Tensor:
    """Turn an image (C, H, W) or (H, W) into colours (H, W, 3)."""
    image = image if image.ndim == 3 else image[None]
    if len(image) == 2:
        image = torch.cat([image, torch.zeros_like(image[:1])])
    elif len(image) == 3:
        image = image + 0.5 if (image < 0).any() else image
    else:
        mean = image.mean(dim=0, keepdim=True)
        image = (mean if len(image) == 1 else mean / mean.max().clamp(min=1e-12)).expand(3, -1, -1)
    return image.permute(1, 2, 0)


def table_of(tiles: Sequence[Sequence[Image.Image]], gap_px: int) -> Image.Image:
    """Put rows of tiles of one size below each other, with gaps between them and all round."""
    width, height = tiles[0][0].width + gap_px, tiles[0][0].height + gap_px
    columns = max(len(row) for row in tiles)
    sheet = Image.new("RGB", (gap_px + columns * width, gap_px + len(tiles) * height), PAPER)
    for i, row in enumerate(tiles):
        for j, picture in enumerate(row):
            sheet.paste(picture, (gap_px + j * width, gap_px + i * height))
    return sheet


def _draw_outline(sheet: Image.Image, places: Tensor, thickness: int) -> None:
    draw, num_top = ImageDraw.Draw(sheet), len(places) // 4
    is_there, points = places.isfinite().all(dim=1).tolist(), places.tolist()
    for i in reversed(range(len(points) - 1)):  # the top side last, over the others
        if is_there[i] and is_there[i + 1]:
            colour = TOP_COLOUR if i < num_top else OUTLINE_COLOUR
            draw.line([*points[i], *points[i + 1]], fill=colour, width=thickness)
            draw.circle(points[i], thickness / 2 - 1, colour)  # joins steps without a notch


def _draw_dots(sheet: Image.Image, places: Tensor, radius: float) -> None:
    draw = ImageDraw.Draw(sheet)
    for place in places[places.isfinite().all(dim=1)].tolist():
        draw.circle(place, radius * 1.35, PAPER)  # a rim, so that it shows on lines and strokes
        draw.circle(place, radius, OUTLINE_COLOUR)


def evenly(items: Sequence[Any], num: int) -> list[Any]:
    """Choose up to `num` items, the first and the last among them."""
    if len(items) <= num:
        return list(items)
    return [items[round(i * (len(items) - 1) / max(1, num - 1))] for i in range(num)]
