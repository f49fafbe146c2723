"""Images with what transformers read of them."""

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

COLOURS = ("#ee3333", "#33bb33", "#4488ff", "#ffaa00")
CORNERS = torch.tensor([[-1.0, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]])


def crop_sheet(U: Tensor, A: Tensor, titles: Sequence[str]) -> Figure:
    """Draw images and the outlines of crops of them, a colour each transformer.

    Args:
        U: images (N, C, H, W).
        A: what transformer t reads of image n: matrices (T, N, 3, 3), from its output to the image.
        titles: of the images.
    """
    columns = min(8, len(U))
    rows = -(-len(U) // columns)
    figure = Figure(figsize=(1.6 * columns, 1.95 * rows), layout="constrained", dpi=150)
    all_axes = [*figure.subplots(rows, columns, squeeze=False).flat]
    for axes in all_axes:
        axes.axis("off")
    size = torch.tensor([U.shape[3], U.shape[2]])
    for i, (image, axes) in enumerate(zip(U, all_axes, strict=False)):
        low, high = image.amin(), image.amax()
        axes.imshow(((image - low) / (high - low).clamp(min=1e-6)).permute(1, 2, 0).numpy())
        for t, of_image in enumerate(A[:, i]):
            corners = (CORNERS @ of_image.T)[[0, 1, 2, 3, 0], :2]
            x, y = ((corners + 1) / 2 * (size - 1)).T.numpy()
            axes.plot(x, y, color=COLOURS[t % len(COLOURS)], linewidth=1.5)
        axes.set(xlim=(-0.5, size[0] - 0.5), ylim=(size[1] - 0.5, -0.5))
        axes.set_title(titles[i], fontsize=7)
    return figure
