"""Where a warp reads its source, for drawing: the outline of the target, and its control points."""

import torch
from torch import Tensor

from stn.transformers.grids import NOWHERE
from stn.transformers.transforms import ControlPointFamily, Transform


def control_points(transform: Transform, theta: Tensor) -> Tensor:
    """Return the points (B, K, 2) in the source that theta (B, P) steers.

    The control points of a family that has them where they are read, row by row; for every other
    family the four corners of the target.
    """
    if isinstance(transform, ControlPointFamily):
        return transform.sources(theta)
    return _visible(transform.grid(theta, (2, 2)).flatten(1, 2))


def outline(transform: Transform, theta: Tensor, num: int = 16) -> Tensor:
    """Return the closed outline (B, 4 num + 1, 2) of the target as it lies in the source.

    Args:
        transform: the family of warps.
        theta: parameters (B, P).
        num: steps on each side.

    Returns:
        Normalised positions, clockwise from the top left and back to it; those behind the horizon
        of a projective warp are NaN, which plotting programs leave out.
    """
    return _visible(border(transform.grid(theta, (num + 1, num + 1))))


def border(grid: Tensor) -> Tensor:
    """Return the positions (B, N, axes) at the border of a grid (B, H, W, axes), all the way round.

    Clockwise from the top left and back to it.
    """
    top, right = grid[:, 0, :-1], grid[:, :-1, -1]
    bottom, left = grid[:, -1, 1:].flip(1), grid[:, :, 0].flip(1)
    return torch.cat([top, right, bottom, left], dim=1)


def _visible(points: Tensor) -> Tensor:
    return torch.where(points.abs() < NOWHERE, points, torch.nan)
