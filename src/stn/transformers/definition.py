"""Eq. 3 as it stands, over the pixels that a kernel reaches: plain torch, no branch on a value.

`stn.transformers.sample` comes here where torch records, transforms or simulates the call: this
can be exported, compiled, mapped, and differentiated forwards, backwards and any number of times.
Results are those of the quick ways up to rounding, and the same conventions hold.
"""

from functools import reduce
from itertools import product
from operator import mul

import torch
from torch import Tensor


def by_definition(U: Tensor, grid: Tensor, kernel: str) -> Tensor:
    """Sample U (B, C, H, W) at a grid (B, H', W', 2) of readable coordinates: (B, C, H', W').

    Or volumes, (B, C, D, H, W) at (B, D', H', W', 3). One term of the sum for each pixel of the
    kernel's support: 1, 4 or 16 of an image, and 1, 8 or 64 of a volume.
    """
    sides = U.shape[2:]
    taps = [  # along each axis, the last first
        _taps(_to_pixels(position, side), side, kernel)
        for position, side in zip(grid.unbind(dim=-1), reversed(sides), strict=True)
    ]
    pixels = U.flatten(2)  # (B, C, H W)
    V = torch.zeros_like(grid[..., 0])[:, None]
    for support in product(*reversed(taps)):
        place = support[0][0]
        for (pixel, _), side in zip(support[1:], sides[1:], strict=True):
            place = place * side + pixel
        read = pixels.gather(2, place.flatten(1)[:, None].expand(-1, U.shape[1], -1))
        weight = reduce(mul, (k for _, k in reversed(support)))
        V = V + read.unflatten(2, grid.shape[1:-1]) * weight[:, None]
    return V


def _to_pixels(position: Tensor, side: int) -> Tensor:
    """x_s or y_s in pixels of the source, for normalised coordinates.

    Adding three sides and taking them off again rounds by up to side * 2^-22, which is more than
    coordinates are off by themselves: a grid that means to hit the pixels hits them, and the
    identity returns U bit for bit. The sub-gradient passes through.
    """
    half = (side - 1) / 2
    return position * half + (half + 3 * side) - 3 * side


def _taps(position: Tensor, side: int, kernel: str) -> list[tuple[Tensor, Tensor]]:
    """Pixels along one axis that a kernel reaches, and its value there: 0 outside the image."""
    if kernel == "integer":
        first, weights = torch.floor(position.detach() + 0.5), [1 + 0 * position]
    else:
        floor = torch.floor(position.detach())
        d = position - floor  # in [0, 1): the derivative at a pixel is from the right
        if kernel == "bilinear":
            first, weights = floor, [1 - d, d]
        else:
            first, weights = floor - 1, [_far(d + 1), _near(d), _near(1 - d), _far(2 - d)]
    taps = []
    for i, weight in enumerate(weights):
        pixel = first + i
        inside = (pixel >= 0) & (pixel <= side - 1)
        index = torch.where(inside, pixel, 0.0).to(torch.int64)
        taps.append((index, torch.where(inside, weight, 0.0)))
    return taps


CUBIC = -0.75


def _near(d: Tensor) -> Tensor:
    return ((CUBIC + 2) * d - (CUBIC + 3)) * d * d + 1


def _far(d: Tensor) -> Tensor:
    return ((CUBIC * d - 5 * CUBIC) * d + 8 * CUBIC) * d - 4 * CUBIC
