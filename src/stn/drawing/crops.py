"""Images with what transformers read of them."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

COLOURS = ("#ee3333", "#33bb33", "#4488ff", "#ffaa00")
CORNERS = torch.tensor([[-1.0, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]])


def crop_sheet(U: Tensor, A: Tensor, titles: Sequence[str], heading: str) -> Figure:
    """Draw images and the outlines of crops of them, a colour each transformer.

    Earlier ones have broader lines, so that outlines that lie on one another are all seen.

    Args:
        U: images (N, C, H, W).
        A: what transformer t reads of image n: matrices (T, N, 3, 3), from its output to the image.
        titles: of the images.
        heading: of the whole.
    """
    columns = min(8, len(U))
    rows = -(-len(U) // columns)
    figure = Figure(figsize=(1.6 * columns, 1.95 * rows + 0.7), layout="constrained", dpi=150)
    all_axes = [*figure.subplots(rows, columns, squeeze=False).flat]
    for axes in all_axes:
        axes.axis("off")
    looks = _looks(len(A))
    figure.suptitle(heading, fontsize=9)
    _explain(figure, looks)
    size = torch.tensor([U.shape[3], U.shape[2]])
    for i, (image, axes) in enumerate(zip(U, all_axes, strict=False)):
        low, high = image.amin(), image.amax()
        axes.imshow(((image - low) / (high - low).clamp(min=1e-6)).permute(1, 2, 0).numpy())
        for look, of_image in zip(looks, A[:, i], strict=True):
            corners = (CORNERS @ of_image.T)[[0, 1, 2, 3, 0], :2]
            x, y = ((corners + 1) / 2 * (size - 1)).T.numpy()
            axes.plot(x, y, **look)
        axes.set(xlim=(-0.5, size[0] - 0.5), ylim=(size[1] - 0.5, -0.5))
        axes.set_title(titles[i], fontsize=7)
    return figure


def mean_crop_sheet(
    names: Sequence[str], ways: Sequence[tuple[Tensor, Tensor, Tensor]], heading: str
) -> Figure:
    """Draw the mean crop of each transformer over the mean places of parts.

    Args:
        names: of K parts.
        ways: for each way that what is shown may face: the mean places (K, 2) of the parts,
            relative to the box of what images show, NaN for none; and edges of crops (T, N, 4)
            before training, dotted, and behind it, a line, with a cross for how much the middle
            moves (one standard deviation either way).
        heading: of the whole.
    """
    figure = Figure(figsize=(5.2 * len(ways), 4.4), layout="constrained", dpi=130)
    figure.suptitle(heading, fontsize=9)
    looks = _looks(len(ways[0][2]))
    for axes, (points, before, after) in zip(
        figure.subplots(1, len(ways), squeeze=False)[0], ways, strict=True
    ):
        axes.fill([0, 1, 1, 0], [0, 0, 1, 1], color="#f0f0f0", zorder=0)
        axes.set_title(f"{after.shape[1]} images", fontsize=8)
        for (x, y), name in zip(points.tolist(), names, strict=True):
            if math.isfinite(x):
                axes.plot(x, y, ".", color="black", markersize=4)
                axes.annotate(name, (x, y), (3, 2), textcoords="offset points", fontsize=6)
        for look, *edges in zip(looks, before, after, strict=True):
            for line, found in zip((":", "-"), edges, strict=True):
                left, top, right, bottom = found.mean(dim=0).tolist()
                x, y = [left, right, right, left, left], [top, top, bottom, bottom, top]
                axes.plot(x, y, line, **look | {"linewidth": 1.5})
            middles = edges[1].unflatten(1, (2, 2)).mean(dim=1)
            x, y = middles.mean(dim=0).tolist()
            xerr, yerr = middles.std(dim=0).tolist()
            axes.errorbar(x, y, xerr=xerr, yerr=yerr, color=look["color"])
        axes.set_aspect("equal")
        axes.invert_yaxis()
        axes.set_xticks([0, 1])
        axes.set_yticks([0, 1])
        axes.set_xlabel("grey: the box of what is shown; dotted: before training", fontsize=7)
    _explain(figure, looks)
    return figure


def _looks(num: int) -> list[dict[str, Any]]:
    """How the outlines of transformers are drawn, earlier ones with broader lines."""
    return [{"color": COLOURS[t % len(COLOURS)], "linewidth": 1.5 * (num - t)} for t in range(num)]


def _explain(figure: Figure, looks: Sequence[dict[str, Any]]) -> None:
    lines: list[Artist] = [Line2D([], [], **look) for look in looks]
    names = [f"transformer {t + 1}" for t in range(len(looks))]
    figure.legend(
        lines, names, loc="outside lower center", ncols=len(looks), fontsize=8, frameon=False
    )
