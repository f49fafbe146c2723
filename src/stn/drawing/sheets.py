"""Pictures with words: images that one network gets right and another wrong; mean images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stn.drawing.canvas import Canvas, text_width
from stn.drawing.tiles import BAD, FAINT, GOOD, LEGEND, Words
from stn.drawing.warps import Warp

SIDE_PX, MARGIN_PX, GAP_PX, EDGE_PX = 112, 36, 2, 24
LABEL_PX, LINE_PX = 210, 32
TITLE_SIZE, TEXT_SIZE = 29, 21
TRIO = ("(a) input", "(b) grid", "(c) output")
TILE_STEP_PX = SIDE_PX + MARGIN_PX + GAP_PX
TRIO_PX = 2 * TILE_STEP_PX + SIDE_PX
STEP_PX = TRIO_PX + 60  # to the next trio


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


def example_sheet(
    title: str, subtitle: str, rivals: tuple[str, str], rows: Sequence[ExampleRow]
) -> Canvas:
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
    sheet = titled(size, title, subtitle)
    sheet.write((EDGE_PX, EDGE_PX + 2.4 * LINE_PX), LEGEND, TEXT_SIZE)
    for column in range(num):
        for i, words in enumerate(TRIO):
            centre = EDGE_PX + LABEL_PX + column * STEP_PX + i * TILE_STEP_PX + SIDE_PX / 2
            sheet.write((centre, head), words, TEXT_SIZE, FAINT, (0.5, 0))
    for i, row in enumerate(rows):
        top = head + i * row_px + MARGIN_PX
        _label(sheet, top, row.name, row.error)
        for j in range(len(row.numbers)):
            left = EDGE_PX + LABEL_PX + j * STEP_PX
            marks = row.warp.outlines[j], row.warp.points[j]
            sheet.picture(row.warp.U[j], (left, top), SIDE_PX)
            sheet.picture(row.warp.U[j], (left + TILE_STEP_PX, top), SIDE_PX, MARGIN_PX, *marks)
            sheet.picture(row.warp.V[j], (left + 2 * TILE_STEP_PX, top), SIDE_PX)
            place = left + TRIO_PX / 2, top + SIDE_PX + MARGIN_PX - 4
            sheet.write(place, _caption(row, j, rivals), TEXT_SIZE, align=(0.5, 1))
    return sheet


def alignment_sheet(title: str, subtitle: str, rows: Sequence[tuple[str, str, Tensor]]) -> Canvas:
    """Draw mean images: a row for each stage, a column for each class.

    Args:
        title: first line.
        subtitle: second line.
        rows: name, further words, and images (classes, C, H, W). All are brightened alike.
    """
    num = max(len(images) for _, _, images in rows)
    step, head = SIDE_PX + 12, EDGE_PX + int(3.8 * LINE_PX)
    size = (2 * EDGE_PX + LABEL_PX + num * step, head + len(rows) * step + EDGE_PX)
    sheet = titled(size, title, subtitle)
    for label in range(num):
        centre = EDGE_PX + LABEL_PX + label * step + SIDE_PX / 2
        sheet.write((centre, head - 6), str(label), TEXT_SIZE, FAINT, (0.5, 0))
    brightest = max(images.max().item() for _, _, images in rows) or 1.0
    for i, (name, words, images) in enumerate(rows):
        _label(sheet, head + i * step, name, words)
        for j, image in enumerate(images):
            place = EDGE_PX + LABEL_PX + j * step, head + i * step
            sheet.picture(image / brightest, place, SIDE_PX)
    return sheet


def training_sheet(
    title: str, subtitle: str, rows: Sequence[tuple[str, str, Mapping[int, Tensor]]]
) -> Canvas:
    """Draw what training changes: a row for each run, a column for each step that all rows have.

    Args:
        title: first line.
        subtitle: second line.
        rows: name, further words, and square pictures (C, S, S) by their step.
    """
    steps = sorted(set.intersection(*(set(pictures) for _, _, pictures in rows)))
    side, head = rows[0][2][steps[0]].shape[-1], EDGE_PX + int(3.8 * LINE_PX)
    size = (2 * EDGE_PX + LABEL_PX + len(steps) * side, head + len(rows) * side + EDGE_PX)
    sheet = titled(size, title, subtitle)
    for column, step in enumerate(steps):
        left = EDGE_PX + LABEL_PX + column * side
        sheet.write((left + side / 2, head - 6), f"{step:,}", TEXT_SIZE, FAINT, (0.5, 0))
        for i, (_, _, pictures) in enumerate(rows):
            sheet.picture(pictures[step], (left, head + i * side), side)
    for i, (name, words, _) in enumerate(rows):
        _label(sheet, head + i * side + side // 4, name, words)
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


def titled(size: tuple[int, int], title: str, subtitle: str) -> Canvas:
    """Return an empty sheet with two lines on top, at least as wide as they are."""
    longest = max(text_width(title, TITLE_SIZE), text_width(subtitle, TEXT_SIZE))
    sheet = Canvas(max(size[0], int(longest) + 2 * EDGE_PX), size[1])
    sheet.write((EDGE_PX, EDGE_PX - 6), title, TITLE_SIZE)
    sheet.write((EDGE_PX, EDGE_PX + 1.2 * LINE_PX), subtitle, TEXT_SIZE, FAINT)
    return sheet


def _caption(row: ExampleRow, i: int, rivals: tuple[str, str]) -> list[Words]:
    label, wrong = int(row.labels[i]), int(row.baseline[i])
    return [
        (f"#{int(row.numbers[i])} is {label}   ", FAINT),
        (f"{rivals[0]}: {wrong}", BAD),
        ("   ", FAINT),
        (f"{rivals[1]}: {label}", GOOD),
    ]


def _label(sheet: Canvas, top: float, name: str, words: str) -> None:
    """A network's name, on as many lines as it needs, and words below."""
    lines, size = [""], TITLE_SIZE - 4
    for word in name.split():
        longer = f"{lines[-1]} {word}".strip()
        if text_width(longer, size) < LABEL_PX - EDGE_PX:
            lines[-1] = longer
        else:
            lines.append(word)
    for i, line in enumerate(lines):
        sheet.write((EDGE_PX, top + i * LINE_PX), line, size)
    sheet.write((EDGE_PX, top + len(lines) * LINE_PX), words, TEXT_SIZE, FAINT)
