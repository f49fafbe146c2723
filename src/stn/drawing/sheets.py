"""Pictures with words: what transformers do, images that one network alone gets right, means."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from stn.drawing.tiles import OUTLINE_COLOUR, PAPER, TOP_COLOUR, Colour, tile
from stn.drawing.warps import Warp

SIDE_PX, MARGIN_PX, GAP_PX, EDGE_PX = 112, 36, 2, 24
LABEL_PX, LINE_PX = 210, 32
TITLE_SIZE, TEXT_SIZE = 32, 24
INK, FAINT, GOOD, BAD = (20, 20, 20), (105, 105, 105), (0, 120, 60), (200, 30, 30)
TRIO = ("(a) input", "(b) grid", "(c) output")
TRIO_PX = 3 * SIDE_PX + 2 * MARGIN_PX + 2 * GAP_PX
STEP_PX = TRIO_PX + 60  # to the next trio
STAGES = ("input", "where it looks", "output")
FURTHEST = 2.5  # what is further out than this many times the image's border is not shown

Words = tuple[str, Colour]
Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels


@dataclass(frozen=True)
class ExampleRow:
    """Images that a network with a transformer gets right and its baseline gets wrong.

    Attributes:
        name: of the network; `error` is its test error, as text.
        warp: what its transformer does to the n images.
        numbers: which images of the test set they are (n,).
        labels: what they are (n,).
        baseline: what the baseline takes them for (n,).
    """

    name: str
    error: str
    warp: Warp
    numbers: Tensor
    labels: Tensor
    baseline: Tensor


def panel_sheet(
    title: str, warps: Sequence[Warp], answers: Sequence[Sequence[Words]]
) -> tuple[Image.Image, list[dict[str, list[Box]]]]:
    """Draw what transformers do to the same images, a column an image and a row a stage.

    Args:
        title: first line.
        warps: of each transformer, in the order of their work; those of one input share its row.
        answers: lines above the column of each image.

    Returns:
        The picture, and for each transformer where its stages (`STAGES`) are, a box an image.
    """
    shared = all(drawn.U is warps[0].U for drawn in warps)
    rows: list[tuple[int, str, list[Image.Image]]] = []
    for t, drawn in enumerate(warps):
        if not (shared and t):
            rows.append((t, STAGES[0], [tile(U, SIDE_PX) for U in drawn.U]))
        room = math.ceil((min(_reach(drawn), FURTHEST) - 1) / 2 * SIDE_PX) + SIDE_PX // 16
        looks = zip(drawn.U, drawn.outlines, drawn.points, strict=True)
        rows.append((t, STAGES[1], [tile(U, SIDE_PX, room, *marks) for U, *marks in looks]))
        rows.append((t, STAGES[2], [tile(V, SIDE_PX) for V in drawn.V]))
    step = max(pictures[0].width for _, _, pictures in rows) + 3 * GAP_PX
    num_lines = max((len(lines) for lines in answers), default=0)
    top = EDGE_PX + int((2.8 + num_lines) * LINE_PX)
    height = sum(pictures[0].height + LINE_PX // 2 for _, _, pictures in rows)
    size = (2 * EDGE_PX + LABEL_PX + len(warps[0]) * step, top + height + EDGE_PX)
    sheet = _titled(size, title, _legend())
    middles = [EDGE_PX + LABEL_PX + (i + 0.5) * step for i in range(len(warps[0]))]
    for middle, lines in zip(middles, answers, strict=False):
        for i, line in enumerate(lines):
            place = middle, top - (num_lines - i + 0.3) * LINE_PX
            _write(ImageDraw.Draw(sheet), place, [line], "ma")
    boxes: list[dict[str, list[Box]]] = [{} for _ in warps]
    for t, stage, pictures in rows:
        is_own = len(warps) > 1 and not (shared and stage == STAGES[0])
        label, centre = f"{t + 1}: {stage}" if is_own else stage, top + pictures[0].height / 2
        if stage == STAGES[1] and _reach(warps[t]) > FURTHEST:
            label += "\n(and further)"
        ImageDraw.Draw(sheet).text((EDGE_PX, centre), label, INK, _font(TEXT_SIZE), "lm")
        boxes[t][stage] = []
        for middle, picture in zip(middles, pictures, strict=True):
            left = int(middle) - picture.width // 2
            sheet.paste(picture, (left, top))
            boxes[t][stage].append((left, top, left + picture.width, top + picture.height))
        top += pictures[0].height + LINE_PX // 2
    return sheet, [boxes[0] | found for found in boxes] if shared else boxes


def example_sheet(
    title: str, subtitle: str, rivals: tuple[str, str], rows: Sequence[ExampleRow]
) -> Image.Image:
    """Draw the right half of Table 1 for one data set: a row for each network, trios of pictures.

    Args:
        title: first line.
        subtitle: second line.
        rivals: names of the baseline, which is wrong, and of the networks that are right.
        rows: each with an image or more.
    """
    num = max(len(row.numbers) for row in rows)
    head, row_px = EDGE_PX + int(4.8 * LINE_PX), SIDE_PX + 2 * MARGIN_PX + LINE_PX
    size = (2 * EDGE_PX + LABEL_PX + num * STEP_PX, head + len(rows) * row_px + EDGE_PX)
    sheet = _titled(size, title, [(subtitle, FAINT)], _legend())
    draw = ImageDraw.Draw(sheet)
    for column in range(num):
        _draw_trio_header(draw, EDGE_PX + LABEL_PX + column * STEP_PX, head)
    for i, row in enumerate(rows):
        top = head + i * row_px
        _draw_row_label(draw, top + MARGIN_PX, row.name, row.error)
        for j in range(len(row.numbers)):
            left = EDGE_PX + LABEL_PX + j * STEP_PX
            _paste_trio(sheet, (left, top), row.warp.tiles(j, SIDE_PX, MARGIN_PX))
            caption_top = top + SIDE_PX + 2 * MARGIN_PX - 4
            _write(draw, (left + TRIO_PX / 2, caption_top), _caption(row, j, rivals), "ma")
    return sheet


def alignment_sheet(
    title: str, subtitle: str, rows: Sequence[tuple[str, str, Tensor]]
) -> Image.Image:
    """Draw mean images: a row for each stage, a column for each class.

    Args:
        title: first line.
        subtitle: second line.
        rows: name, further words, and images (classes, C, H, W). All are brightened alike.
    """
    num = max(len(images) for _, _, images in rows)
    step, head = SIDE_PX + 12, EDGE_PX + int(3.8 * LINE_PX)
    size = (2 * EDGE_PX + LABEL_PX + num * step, head + len(rows) * step + EDGE_PX)
    sheet = _titled(size, title, [(subtitle, FAINT)])
    for label in range(num):
        centre = EDGE_PX + LABEL_PX + label * step + SIDE_PX / 2, head - 6
        ImageDraw.Draw(sheet).text(centre, str(label), FAINT, _font(TEXT_SIZE), anchor="md")
    brightest = max(images.max().item() for _, _, images in rows) or 1.0
    for i, (name, words, images) in enumerate(rows):
        _draw_row_label(ImageDraw.Draw(sheet), head + i * step, name, words)
        for j, image in enumerate(images):
            place = EDGE_PX + LABEL_PX + j * step, head + i * step
            sheet.paste(tile(image / brightest, SIDE_PX), place)
    return sheet


def class_means(images: Tensor, labels: Tensor, num_classes: int) -> Tensor:
    """Return the mean image of each class (num_classes, C, H, W); that of an empty class is black.

    Args:
        images: (B, C, H, W).
        labels: (B,), each below `num_classes`.
        num_classes: number of classes.
    """
    sums = torch.zeros(num_classes, *images.shape[1:], dtype=images.dtype)
    sums.index_add_(0, labels, images)
    return sums / labels.bincount(minlength=num_classes).clamp(min=1)[:, None, None, None]


def _titled(size: tuple[int, int], title: str, *lines: Sequence[Words]) -> Image.Image:
    """An empty sheet with a title and lines below it, at least as wide as they are."""
    widths = [_font(TEXT_SIZE).getlength("".join(text for text, _ in line)) for line in lines]
    longest = int(max(_font(TITLE_SIZE).getlength(title), *widths))
    sheet = Image.new("RGB", (max(size[0], longest + 2 * EDGE_PX), size[1]), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((EDGE_PX, EDGE_PX - 6), title, INK, _font(TITLE_SIZE))
    for i, line in enumerate(lines):
        _write(draw, (EDGE_PX, EDGE_PX + 1.2 * (i + 1) * LINE_PX), line)
    return sheet


def _reach(drawn: Warp) -> float:
    """Return how far out the outlines and points of a warp go, relative to the image's border."""
    marks = torch.cat([drawn.outlines.flatten(), drawn.points.flatten()]).abs()
    return max([1.0, *marks[marks.isfinite()].tolist()])


def _legend() -> list[Words]:
    return [
        ("orange", OUTLINE_COLOUR),
        (": border of the output in the input, its top side ", FAINT),
        ("blue", TOP_COLOUR),
        ("; dots: control points of the spline, or corners", FAINT),
    ]


def _caption(row: ExampleRow, i: int, rivals: tuple[str, str]) -> list[Words]:
    label, wrong = int(row.labels[i]), int(row.baseline[i])
    return [
        (f"#{int(row.numbers[i])} is {label}   ", FAINT),
        (f"{rivals[0]}: {wrong}", BAD),
        ("   ", FAINT),
        (f"{rivals[1]}: {label}", GOOD),
    ]


def _draw_trio_header(draw: ImageDraw.ImageDraw, left: int, bottom: int) -> None:
    for i, words in enumerate(TRIO):
        centre = left + SIDE_PX / 2 + i * (SIDE_PX + MARGIN_PX + GAP_PX)
        draw.text((centre, bottom), words, FAINT, _font(TEXT_SIZE), anchor="md")


def _draw_row_label(draw: ImageDraw.ImageDraw, top: float, name: str, words: str) -> None:
    """A network's name, its transform on a second line, and words below."""
    place, text, font = (EDGE_PX, top), name.replace(" ", "\n", 1), _font(TITLE_SIZE - 4)
    draw.text(place, text, INK, font)
    bottom = draw.multiline_textbbox(place, text, font)[3]
    draw.text((EDGE_PX, bottom + 6), words, FAINT, _font(TEXT_SIZE))


def _paste_trio(sheet: Image.Image, place: tuple[int, int], tiles: Sequence[Image.Image]) -> None:
    """Put three tiles side by side; only the middle one keeps its margin."""
    left, top = place
    inner = (MARGIN_PX, 0, MARGIN_PX + SIDE_PX, SIDE_PX + 2 * MARGIN_PX)
    step = SIDE_PX + MARGIN_PX + GAP_PX
    sheet.paste(tiles[0].crop(inner), (left, top))
    sheet.paste(tiles[2].crop(inner), (left + 2 * step, top))
    sheet.paste(tiles[1], (left + step - MARGIN_PX, top))


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    parts: Sequence[Words],
    anchor: str = "la",
) -> None:
    """Write one line in several colours, from a place or centred on it (`ma`)."""
    font = _font(TEXT_SIZE)
    x, y = place
    if anchor == "ma":
        x -= sum(font.getlength(text) for text, _ in parts) / 2
    for text, colour in parts:
        draw.text((x, y), text, colour, font)
        x += font.getlength(text)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
