"""Piecewise affine warps: a regular grid of control points, each of its cells cut into triangles.

Inside a triangle the offset of a point is the mean of the offsets of the three corners, weighted by
its barycentric coordinates. The warp is linear in the offsets, as a thin plate spline is, so
`tps_grid` computes it from the weights below. Nothing is inverted, and folded triangles do no harm.
"""

import torch
from torch import Tensor

from stn.transformers.grids import Size, base_grid


def triangle_basis(points: tuple[int, int], size: Size) -> Tensor:
    """Weight of each of K control points at each target pixel (K, H, W), in float64.

    Diagonals run from the top left to the bottom right of a cell. At (u, v) in [0, 1]^2 of a cell,
    the triangle above the diagonal has the weights 1 - u, u - v, v and the one below it 1 - v,
    v - u, u; so the same four expressions hold for both.

    Args:
        points: rows and columns of control points, at least 2 each; they are numbered row by row.
        size: (H, W) of the target.
    """
    rows, columns = points
    regular = base_grid(size, torch.float64, torch.device("cpu"))  # (H, W, 2)
    pixels = regular.reshape(-1, 2)
    place = (pixels + 1) / 2 * pixels.new_tensor([columns - 1, rows - 1])
    cell = torch.minimum(place.floor(), pixels.new_tensor([columns - 2, rows - 2]))
    u, v = (place - cell).unbind(1)
    column, row = cell.long().unbind(1)
    first = row * columns + column
    corners = torch.stack([first, first + 1, first + columns, first + columns + 1])
    weights = [1 - torch.maximum(u, v), (u - v).clamp(min=0), (v - u).clamp(min=0)]
    weights.append(torch.minimum(u, v))
    basis = pixels.new_zeros(rows * columns, pixels.shape[0])
    return basis.scatter_(0, corners, torch.stack(weights)).view(-1, *regular.shape[:2])
