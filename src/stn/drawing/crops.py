"""Images with what transformers read of them."""

from collections.abc import Sequence

import torch
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
    looks = [
        {"color": COLOURS[t % len(COLOURS)], "linewidth": 1.5 * (len(A) - t)} for t in range(len(A))
    ]
    figure.suptitle(heading, fontsize=9)
    figure.legend(
        [Line2D([], [], **look) for look in looks],
        [f"transformer {t + 1}" for t in range(len(A))],
        loc="outside lower center",
        ncols=len(A),
        fontsize=8,
        frameon=False,
    )
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
