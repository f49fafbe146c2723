"""What a distortion does to a digit's ink: how much is cut off, folded over, or hidden by clutter.

Ink is the integral of a digit's brightness. An image shows its digit through a grid, so the ink
that is seen is the image's brightness times the area of the digit that each pixel stands for, the
determinant of the grid's derivative; where the grid folds, that is negative.
"""

import torch
from torch import Tensor

from stn.data.distortions import DIGIT_PX, Clutter, Distortion, Warp
from stn.data.randomness import stream

NUM_DRAWN = 1000
MAX_LOSS = 0.1  # of a digit's ink
MAX_SHARE = 0.01  # of the images


def ink_seen(warp: Warp, pool: Tensor, index: Tensor, key: int) -> tuple[Tensor, Tensor]:
    """Shares of each digit's ink (B,) that are seen the right way round, and folded over.

    They are sums over pixels: the first is up to some hundredths off, either way.
    """
    images, grid = warp(pool, index, key), warp.grid(index, key) * (DIGIT_PX - 1) / 2
    down, right = torch.gradient(grid, dim=(1, 2))  # digit pixels per pixel, (B, H, W, 2)
    area = right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0]
    of_digit = pool.index_select(0, index).flatten(1).sum(dim=1) / 255
    seen = images[:, 0] * area
    return seen.clamp(min=0).sum((1, 2)) / of_digit, -seen.clamp(max=0).sum((1, 2)) / of_digit


def share_damaged(distort: Distortion, pool: Tensor, index: Tensor, key: int) -> float:
    """Share of the images that lose more than `MAX_LOSS` of their ink.

    Warps cut and fold; clutter hides, where a patch is seen rather than the digit.
    """
    if isinstance(distort, Warp):
        upright, folded = ink_seen(distort, pool, index, key)
        lost = (1 - upright).maximum(folded)
    elif isinstance(distort, Clutter) and distort.overlap == "patches_hide":
        lost = distort.hidden(pool, index, key)
    else:  # shows the digit as it is
        return 0.0
    return (lost > MAX_LOSS).float().mean().item()


def check(distort: Distortion, pool: Tensor) -> None:
    """Refuses a distortion that damages digits, by what it does to the first ones of a pool.

    Raises:
        ValueError: More than `MAX_SHARE` of the images lose more than `MAX_LOSS` of their ink.
    """
    index = torch.arange(min(NUM_DRAWN, len(pool)), device=pool.device)
    share = share_damaged(distort, pool, index, stream(0, "ink"))
    if share > MAX_SHARE:
        raise ValueError(
            f"{type(distort).__name__} at {distort.size} cuts, folds or hides more than "
            f"{MAX_LOSS:.0%} of the ink in {share:.1%} of the images, which must be "
            f"{MAX_SHARE:.0%} at most: distort less, or show a larger image"
        )
