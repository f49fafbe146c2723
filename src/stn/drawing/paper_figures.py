"""The paper's Figures 1 and 3, and a film of training: layouts of what a run gives."""

from collections.abc import Sequence

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from stn.drawing.canvas import Canvas
from stn.drawing.sheets import EDGE_PX, LINE_PX, TEXT_SIZE, titled
from stn.drawing.tiles import BAD, FAINT, GOOD, PAPER
from stn.drawing.warps import Warp
from stn.transformers import base_grid

NUM_ANSWERS = 3  # of Figure 1, (d)
SIDE_PX, MARGIN_PX, BARS_PX = 160, 45, 190  # of Figure 1
LARGE_PX, WIDE_PX = 300, 50  # of Figure 3: an image, and what is seen round it
DOTS = range(10, 17)  # of a row and of a column of Figure 3
FILM_PX, FRAME_MS, LAST_MS = 900, 700, 3000


def module_sheet(
    title: str, subtitle: str, warp: Warp, probabilities: Tensor, labels: Tensor
) -> Canvas:
    """Draw Figure 1: what a spatial transformer in front of a classifier does, an image a row.

    Args:
        title: first line.
        subtitle: second line.
        warp: what the transformer does to n images.
        probabilities: of the classes (n, K), by the whole network.
        labels: what the images are (n,).
    """
    step, head = SIDE_PX + 2 * MARGIN_PX, EDGE_PX + 4 * LINE_PX + MARGIN_PX
    size = (2 * EDGE_PX + 3 * step + BARS_PX, head + len(warp) * step)
    sheet = titled(size, title, subtitle)
    words = "(a) input", "(b) where it is read", "(c) output", "(d) prediction"
    for i, text in enumerate(words):
        half = (SIDE_PX if i < 3 else BARS_PX) / 2
        sheet.write((EDGE_PX + i * step + half, head - MARGIN_PX), text, TEXT_SIZE, FAINT, (0.5, 0))
    for i in range(len(warp)):
        top, marks = head + i * step, (warp.outlines[i], warp.points[i])
        for j, image in enumerate((warp.U[i], warp.U[i], warp.V[i])):
            corner = EDGE_PX + j * step, top
            sheet.picture(image, corner, SIDE_PX, MARGIN_PX, *(marks if j == 1 else ()))
        best = probabilities[i].topk(min(NUM_ANSWERS, probabilities.shape[1]))
        for k, (share, answer) in enumerate(zip(*(part.tolist() for part in best), strict=True)):
            left, middle = EDGE_PX + 3 * step, top + SIDE_PX * (k + 0.5) / NUM_ANSWERS
            colour = GOOD if answer == int(labels[i]) else BAD if k == 0 else FAINT
            sheet.write((left, middle), str(answer), TEXT_SIZE, colour, (0, 0.5))
            sheet.bar((left + 34, middle - 9), (1 + share * (BARS_PX - 110), 18), colour)
            place = left + 43 + share * (BARS_PX - 110), middle
            sheet.write(place, f"{100 * share:.0f} %", TEXT_SIZE - 3, colour, (0, 0.5))
    return sheet


def grid_sheet(
    title: str, subtitle: str, U: Tensor, warps: Sequence[tuple[str, Tensor, Tensor]]
) -> Canvas:
    """Draw Figure 3: the sampling grid over the image, and below it what is read there.

    A dot is the place in U of one pixel of V, in the same colour in both.

    Args:
        title: first line.
        subtitle: second line.
        U: an image (C, H, W).
        warps: of each its name, its grid (H', W', 2) and V (C, H', W').
    """
    step, head = LARGE_PX + 2 * WIDE_PX, EDGE_PX + 4 * LINE_PX
    below = head + WIDE_PX + LARGE_PX + WIDE_PX
    sheet = titled((len(warps) * step, below + LARGE_PX + 3 * EDGE_PX), title, subtitle)
    for i, (name, grid, V) in enumerate(warps):
        left, middle = i * step + WIDE_PX, i * step + step / 2
        sheet.write((middle, head), f"({chr(ord('a') + i)}) {name}", TEXT_SIZE, align=(0.5, 0))
        rows, columns = (_spread(num) for num in grid.shape[:2])
        own = base_grid((grid.shape[0], grid.shape[1]))
        for image, top, dots in ((U, head + WIDE_PX, grid), (V, below, own)):
            chosen = dots[rows][:, columns]
            sheet.picture(image, (left, top), LARGE_PX, WIDE_PX, grid=chosen)
        sheet.write((middle, below - 8), "V", TEXT_SIZE, FAINT, (0.5, 0))
    return sheet


def _spread(num: int) -> Tensor:
    """Choose some of `num` pixels, the first and the last among them, as evenly as can be."""
    choices = [torch.linspace(0, num - 1, min(num, dots)) for dots in DOTS]
    return min(choices, key=lambda c: (c - c.round()).abs().max().item()).round().long()


def film(title: str, panels: Sequence[tuple[float, str, Image.Image]]) -> list[Image.Image]:
    """Put words and a bar of progress over panels of one size, to be shown one after the other.

    Args:
        title: over all of them.
        panels: how far training was, from 0 to 1, words on it, and the picture.
    """
    frames, large, small = [], ImageFont.load_default(20), ImageFont.load_default(16)
    for share, words, panel in panels:
        height = round(panel.height * FILM_PX / panel.width)
        frame = Image.new("RGB", (FILM_PX, height + 66), PAPER)
        frame.paste(panel.resize((FILM_PX, height), Image.Resampling.LANCZOS), (0, 66))
        draw = ImageDraw.Draw(frame)
        draw.text((16, 6), title, (20, 20, 20), large)
        draw.text((16, 34), words, FAINT, small)
        draw.rectangle([16, 58, FILM_PX - 16, 62], fill=(225, 225, 225))
        draw.rectangle([16, 58, 16 + share * (FILM_PX - 32), 62], fill=GOOD)
        frames.append(frame)
    palette = frames[-1].quantize(128, kmeans=2)
    return [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
