"""What transformers do to the same images, with words, drawn in a moment: while training waits."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont

from stn.drawing.tiles import BAD, FAINT, GOOD, INK, LEGEND, PAPER, Words, tile
from stn.drawing.warps import Warp

SIDE_PX, GAP_PX, EDGE_PX = 112, 6, 24
LABEL_PX, LINE_PX = 210, 32
TITLE_SIZE, TEXT_SIZE = 32, 24
STAGES = ("input", "where it looks", "output")
FURTHEST = 2.5  # what is further out than this many times the image's border is not shown

Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels


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
    step = max(pictures[0].width for _, _, pictures in rows) + GAP_PX
    num_lines = max((len(lines) for lines in answers), default=0)
    top = EDGE_PX + int((2.8 + num_lines) * LINE_PX)
    height = sum(pictures[0].height + LINE_PX // 2 for _, _, pictures in rows)
    size = (2 * EDGE_PX + LABEL_PX + len(warps[0]) * step, top + height + EDGE_PX)
    large, small = (ImageFont.load_default(s) for s in (TITLE_SIZE, TEXT_SIZE))
    legend = small.getlength("".join(text for text, _ in LEGEND))
    longest = int(max(large.getlength(title), legend))
    sheet = Image.new("RGB", (max(size[0], longest + 2 * EDGE_PX), size[1]), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((EDGE_PX, EDGE_PX - 6), title, INK, large)
    left: float = EDGE_PX
    for text, colour in LEGEND:
        draw.text((left, EDGE_PX + 1.2 * LINE_PX), text, colour, small)
        left += small.getlength(text)
    middles = [EDGE_PX + LABEL_PX + (i + 0.5) * step for i in range(len(warps[0]))]
    for middle, lines in zip(middles, answers, strict=False):
        for i, (text, colour) in enumerate(lines):
            place = middle, top - (num_lines - i + 0.3) * LINE_PX
            draw.text(place, text, colour, small, "ma")
    boxes: list[dict[str, list[Box]]] = [{} for _ in warps]
    for t, stage, pictures in rows:
        is_own = len(warps) > 1 and not (shared and stage == STAGES[0])
        label, centre = f"{t + 1}: {stage}" if is_own else stage, top + pictures[0].height / 2
        if stage == STAGES[1] and _reach(warps[t]) > FURTHEST:
            label += "\n(and further)"
        draw.text((EDGE_PX, centre), label, INK, small, "lm")
        boxes[t][stage] = []
        for middle, picture in zip(middles, pictures, strict=True):
            x = int(middle) - picture.width // 2
            sheet.paste(picture, (x, top))
            boxes[t][stage].append((x, top, x + picture.width, top + picture.height))
        top += pictures[0].height + LINE_PX // 2
    return sheet, [boxes[0] | found for found in boxes] if shared else boxes


def aligned(
    sheets: Sequence[tuple[Image.Image, Sequence[Mapping[str, Any]]]],
) -> list[Image.Image]:
    """Lay out the tiles of several sheets alike, for sheets that are shown one after the other.

    How much room a sheet leaves round its images depends on how far the transformer looks.

    Args:
        sheets: of the same images; each with what it tells of them, as `read_panel` gives it.

    Returns:
        Pictures of one size, in which each image keeps its place; without title and legend.

    Raises:
        ValueError: a sheet does not tell where its tiles are.
    """
    if not all(told for _, told in sheets):
        raise ValueError("these panels are of an older version: they do not tell where tiles are")
    stages: dict[tuple[int, ...], tuple[int, str]] = {}  # several transformers may share an input
    for told in (row for row in sheets[0][1] if row["image"] == 0):
        for stage in STAGES:
            stages.setdefault(tuple(told["boxes"][stage]), (told["transformer"], stage))
    cut = [
        {(row["transformer"], stage, row["image"]): sheet.crop(row["boxes"][stage])
         for row in told for stage in STAGES}
        for sheet, told in sheets
    ]  # fmt: skip
    step = max(tile.width for tiles in cut for tile in tiles.values()) + GAP_PX
    heights = [
        max(tile.height for tiles in cut for key, tile in tiles.items() if key[:2] == stage)
        for stage in stages.values()
    ]
    num, several = len({row["image"] for row in sheets[0][1]}), len({t for t, _ in stages.values()})
    head = int(2.6 * LINE_PX)
    size = LABEL_PX + num * step, head + sum(heights) + LINE_PX // 2 * len(heights)
    found = []
    for (_, rows), tiles in zip(sheets, cut, strict=True):
        picture, top = Image.new("RGB", size, PAPER), head
        draw, small = ImageDraw.Draw(picture), ImageFont.load_default(TEXT_SIZE)
        for row in (row for row in rows if row["transformer"] == 1 and "true" in row):
            middle = LABEL_PX + (row["image"] + 0.5) * step
            colour = GOOD if row["true"] == row["predicted"] else BAD
            draw.text((middle, 4), f"is {row['true']}", FAINT, small, "ma")
            draw.text((middle, 4 + LINE_PX), f"said {row['predicted']}", colour, small, "ma")
        for (t, stage), height in zip(stages.values(), heights, strict=True):
            label = f"{t}: {stage}" if several > 1 else stage
            draw.text((EDGE_PX, top + height / 2), label, INK, small, "lm")
            for i in range(num):
                one = tiles[t, stage, i]
                left = LABEL_PX + i * step + (step - one.width) // 2
                picture.paste(one, (left, top + (height - one.height) // 2))
            top += height + LINE_PX // 2
        found.append(picture)
    return found


def _reach(drawn: Warp) -> float:
    """Return how far out the outlines and points of a warp go, relative to the image's border."""
    marks = torch.cat([drawn.outlines.flatten(), drawn.points.flatten()]).abs()
    return max([1.0, *marks[marks.isfinite()].tolist()])
