"""Homographies from quadrilaterals, in closed form, and how far their corners may move."""

import torch
from torch import Tensor


def quad_to_square(corners: Tensor) -> Tensor:
    """Homographies from convex quadrilaterals to the square [-1, 1]^2.

    The inverse of Heckbert's map of the unit square (Fundamentals of Texture Mapping and Image
    Warping, 1989, section 2.2.3). The denominator is positive inside, and 1 at the first corner.

    Args:
        corners: (B, 4, 2) in the order of (-1, -1), (1, -1), (1, 1), (-1, 1).

    Returns:
        (B, 3, 3).
    """
    p0, p1, p2, p3 = corners.unbind(1)
    to_p1, to_p3, twist = p1 - p2, p3 - p2, p0 - p1 + p2 - p3
    area = cross(to_p1, to_p3)
    g, h = (cross(twist, to_p3) / area)[:, None], (cross(to_p1, twist) / area)[:, None]
    u = torch.cat([p1 - p0 + g * p1, g], dim=1)  # the columns of the unit square's homography
    v = torch.cat([p3 - p0 + h * p3, h], dim=1)
    w = torch.cat([p0, torch.ones_like(g)], dim=1)
    v_w = torch.linalg.cross(v, w)
    adjugate = torch.stack([v_w, torch.linalg.cross(w, u), torch.linalg.cross(u, v)], dim=1)
    determinant = (u * v_w).sum(dim=1)
    to_square = adjugate.new_tensor([[2, 0, -1], [0, 2, -1], [0, 0, 1]])
    return to_square @ adjugate / determinant[:, None, None]


def unfolded_share(corners: Tensor, moves: Tensor, min_area: float) -> Tensor:
    """The largest factor f <= 1 with which `corners + f moves` is as convex as asked.

    Asked is that the triangle of each corner and its two neighbours keeps `min_area` of its area.
    That area is quadratic in f: the smallest positive root over the four corners bounds f.

    Args:
        corners: convex quadrilaterals (B, 4, 2), clockwise as seen (y points down).
        moves: what is to be added to them (B, 4, 2).
        min_area: share of the area that every triangle keeps, in (0, 1).

    Returns:
        (B,).
    """
    (ahead, behind), (ahead_move, behind_move) = _edges(corners), _edges(moves)
    c = (1 - min_area) * cross(ahead, behind)
    b = cross(ahead, behind_move) + cross(ahead_move, behind)
    a = cross(ahead_move, behind_move)
    # With c > 0, the smallest positive root of a f^2 + b f + c is 2c / (-b + sqrt(b^2 - 4ac)).
    root = (b.square() - 4 * a * c).sqrt() - b
    bound = torch.where(root > 0, 2 * c / root, torch.inf)
    return bound.amin(dim=1).clamp(max=1)


def cross(a: Tensor, b: Tensor) -> Tensor:
    """The z of the cross product of plane vectors (..., 2)."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _edges(points: Tensor) -> tuple[Tensor, Tensor]:
    """From each corner to the next and to the one before."""
    return points.roll(-1, dims=1) - points, points.roll(1, dims=1) - points
