"""Warps through given points: a homography through four, a thin plate spline through any number.

Batched over B sets of points, in the type of the points (float32 at least), and differentiable in
all of them. `Projective.from_corners` and `ThinPlateSpline.from_points` are what is called.
"""

import math

import torch
from torch import Tensor

from stn.transformers.checks import NO_SPLINE, has_twins, is_flat, refuse
from stn.transformers.grids import HORIZON, Size, base_grid

AT_ONCE = 16  # splines, so that what is computed of them stays in a processor's cache


def homography_through(source: Tensor, target: Tensor) -> Tensor:
    """Return the homographies (B, 3, 3) that carry four target points to four source points.

    Their last entry is 1: eight linear equations in eight unknowns.

    Args:
        source: (B, 4, 2).
        target: (B, 4, 2).

    Raises:
        ValueError: the shapes do not fit; or there is no homography with all of the four target
            points in front of its horizon.
    """
    source, target = _pairs(source, target, least=4, most=4)
    x, y = target.unbind(2)  # (B, 4)
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    rows = [
        torch.stack([*side, -x * aim, -y * aim], dim=2)
        for side, aim in (
            ((x, y, one, zero, zero, zero), source[:, :, 0]),
            ((zero, zero, zero, x, y, one), source[:, :, 1]),
        )
    ]
    entries, info = torch.linalg.solve_ex(torch.cat(rows, dim=1), source.mT.flatten(1))
    w = x * entries[:, 6:7] + y * entries[:, 7:] + 1
    refuse(
        (info != 0) | _has_three_on_a_line(target) | ~(w > HORIZON).all(dim=1),
        "no homography carries the four points: three of them lie on a line, or they go round in"
        " another order, or the centre of the target lies behind the horizon",
    )
    return torch.cat([entries, one[:, :1]], dim=1).view(-1, 3, 3)


def spline_through(source: Tensor, target: Tensor, size: Size) -> Tensor:
    """Return the grids (B, H, W, 2) of the splines that carry target points to source points.

    See `tps_basis` for the system of equations, which is solved for each sample here.

    Args:
        source: (B, K, 2).
        target: (B, K, 2), K at least 3.
        size: (H, W) of the target.

    Raises:
        ValueError: the shapes do not fit; or two target points coincide, or all lie on a line.
    """
    source, target = _pairs(source, target, least=3)
    num = target.shape[1]
    affine = torch.cat([torch.ones_like(target[:, :, :1]), target], dim=2)  # (B, K, 3)
    apart = target[:, :, None] - target[:, None]  # (B, K, K, 2)
    system = torch.cat(
        [
            torch.cat([_radial(*apart.unbind(3)), affine], dim=2),
            torch.cat([affine.mT, torch.zeros_like(affine[:, :3, :1]).expand(-1, -1, 3)], dim=2),
        ],
        dim=1,
    )
    values = torch.cat([source - target, torch.zeros_like(target[:, :3])], dim=1)
    coefficients, info = torch.linalg.solve_ex(system, values)  # (B, K + 3, 2)
    refuse((info != 0) | has_twins(target) | is_flat(target), NO_SPLINE)
    regular = base_grid(size, target.dtype, target.device)  # (H, W, 2)
    x, y = regular[:1, :, 0], regular[:, :1, 1]
    constant = torch.cat([torch.ones_like(regular[..., :1]), regular], dim=2).view(-1, 3)
    planes = []
    for some, points in zip(coefficients.split(AT_ONCE), target.split(AT_ONCE), strict=True):
        from_x, from_y = (points[:, :, i, None, None] for i in range(2))  # (b, K, 1, 1)
        influence = _radial(x - from_x, y - from_y).flatten(2)  # (b, K, H W)
        planes.append(torch.baddbmm(some[:, num:].mT @ constant.T, some[:, :num].mT, influence))
    offsets = torch.cat(planes).view(-1, 2, *regular.shape[:2])
    return (offsets + regular.permute(2, 0, 1)).permute(0, 2, 3, 1)


def _pairs(source: Tensor, target: Tensor, least: int, most: int | None = None) -> list[Tensor]:
    """Check the shapes, and return both in one type that holds coordinates, and of one batch."""
    num_points = {points.shape[1] if points.ndim == 3 else 0 for points in (source, target)}
    fits = source.shape[-1:] == target.shape[-1:] == (2,) and len(num_points) == 1
    if not fits or not least <= num_points.pop() <= (most or math.inf):
        num = str(least) if least == most else f"K >= {least}"
        raise ValueError(
            f"source and target need shape (B, {num}, 2) alike, got {tuple(source.shape)} and"
            f" {tuple(target.shape)}"
        )
    dtype = torch.promote_types(torch.promote_types(source.dtype, target.dtype), torch.float32)
    return list(torch.broadcast_tensors(source.to(dtype), target.to(dtype)))


def _radial(x: Tensor, y: Tensor) -> Tensor:
    """r^2 log r^2 at distances x and y along the axes, which are broadcast; its gradient is finite.

    Faster than `xlogy`, whose gradient at 0 is not a number.
    """
    squared = x.square() + y.square()
    return squared * squared.clamp(min=torch.finfo(squared.dtype).tiny).log()


def _has_three_on_a_line(points: Tensor) -> Tensor:
    """Tell of four points (B, 4, 2) in any order whether three are on a line, or two coincide."""
    triples = points[:, [[0, 1, 2], [0, 1, 3], [0, 2, 3], [1, 2, 3]]]  # (B, 4, 3, 2)
    return is_flat(triples).any(dim=1)
