"""More families of warps: four corners, a cubic spline of displacements, and flows.

They keep the contract of `transforms`, and are there as priors: what they can do and cannot.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from stn.transformers.checks import output_size
from stn.transformers.grids import Size, base_grid, projective_grid
from stn.transformers.samplers import sample
from stn.transformers.transforms import (
    ControlPointFamily,
    _checked,
    _points,
)


@final
@dataclass(frozen=True)
class FourCorners:
    """The plane projective warp by the offsets (dx, dy) of where the target's corners are read.

    theta holds them clockwise from the top left, in normalised units. The same warps as those of
    `Projective`, but for those with the horizon across the target; its parameters are all of one
    scale. Of corners that lie on a line, or fold the target, most reads nothing; offsets beyond 100
    are 100.
    """

    num_params: ClassVar[int] = 8

    def identity(self) -> Tensor:
        """Return the offsets (8,) that change nothing: zeros."""
        return torch.zeros(8)

    def grid(self, theta: Tensor, size: Size) -> Tensor:
        """Return the sampling grid (B, H, W, 2) of theta (B, 8) for a target of size (H, W).

        A square's homography in closed form (Heckbert, 1989), the centre's denominator 1.
        """
        theta = _checked(theta, self)
        square = theta.new_tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        p0, p1, p2, p3 = (square + _points(theta).clamp(-100, 100)).unbind(1)  # (B, 2)
        side, other, fold = p1 - p2, p3 - p2, p0 - p1 + p2 - p3
        area = _cross(side, other)
        area = torch.where(area.abs() < 1e-4, 1e-4, area)  # of corners on a line, no division by 0
        g, h = _cross(fold, other) / area, _cross(side, fold) / area
        right, down = p1 - p0 + g[:, None] * p1, p3 - p0 + h[:, None] * p3
        # From coordinates in [0, 1] to [-1, 1], and to 1 at the centre of the target.
        centre = 1 + (g + h) / 2
        at_centre = torch.cat([p0 + (right + down) / 2, centre[:, None]], dim=1)
        along = [torch.cat([v, w[:, None]], dim=1) / 2 for v, w in ((right, g), (down, h))]
        homography = torch.stack([*along, at_centre], dim=2)  # (B, 3, 3)
        return projective_grid(homography, size)


@final
@dataclass(frozen=True)
class CubicSpline(ControlPointFamily):
    """A displacement by uniform cubic B-splines: smooth, and each control point acts nearby only.

    See `ControlPointFamily` for theta. Offsets are coefficients: the warp is drawn towards them and
    does not carry the control points by them. Beyond the border coefficients go on in a straight
    line, so that every affine warp is one of this family.
    """

    def basis(self, size: Size) -> Tensor:  # noqa: D102
        grid = base_grid(size, torch.float64, torch.device("cpu"))
        rows = _spline_weights(grid[:, 0, 1], self.points[0])  # (n, H)
        columns = _spline_weights(grid[0, :, 0], self.points[1])  # (m, W)
        return (rows[:, None, :, None] * columns[None, :, None]).flatten(0, 1)

    def sources(self, theta: Tensor) -> Tensor:
        """Return where the control points are read (B, K, 2), which is not at their offsets."""
        return self.grid(theta, self.points).flatten(1, 2)


@final
@dataclass(frozen=True)
class Diffeomorphic(ControlPointFamily):
    """The flow along a velocity that is bilinear between control points, for one unit of time.

    theta holds the velocities (dx, dy), as those of `ControlPointFamily` hold offsets. Paths of a
    flow do not cross: the warp does not fold, however large theta is, up to the steps in which it
    is computed. Beyond the border the velocity is that of the nearest point of the border.
    (Freifeld et al., 2017, have velocities that are affine in triangles, whose flow they give in
    closed form.)

    Args:
        steps: of equal length, to the middle and on (the midpoint method).

    Raises:
        ValueError: fewer than two rows or columns or no step, or no whole numbers.
    """

    steps: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if type(self.steps) is not int or self.steps < 1:
            raise ValueError(f"steps must be a whole number from 1 up, not {self.steps!r}")

    def basis(self, size: Size) -> Tensor:
        """Return the influence of each velocity on the first one of each pixel (K, H, W)."""
        num = self.points[0] * self.points[1]
        unit = torch.eye(num, dtype=torch.float64).view(num, 1, *self.points)
        place = base_grid(output_size(size), torch.float64, torch.device("cpu"))
        return sample(unit, place.expand(num, -1, -1, -1))[:, 0]

    def grid(self, theta: Tensor, size: Size) -> Tensor:
        """Return the sampling grid (B, H, W, 2) of theta (B, 2K) for a target of size (H, W)."""
        theta = _checked(theta, self)
        velocity = theta.reshape(-1, *self.points, 2).permute(0, 3, 1, 2)  # (B, 2, n, m)

        def at(place: Tensor) -> Tensor:
            return sample(velocity, place.clamp(-1, 1)).permute(0, 2, 3, 1)

        place = base_grid(output_size(size), theta.dtype, theta.device)
        place = place.expand(theta.shape[0], -1, -1, -1)
        for _ in range(self.steps):
            middle = place + at(place) / (2 * self.steps)
            place = place + at(middle) / self.steps
        return place

    def sources(self, theta: Tensor) -> Tensor:
        """Return where the control points are read (B, K, 2), at the ends of their paths."""
        return self.grid(theta, self.points).flatten(1, 2)


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _spline_weights(at: Tensor, num: int) -> Tensor:
    """Weights (num, N) of equally spaced coefficients over [-1, 1] at positions (N,).

    One coefficient more at each end continues the last two in a straight line.
    """
    place = (at + 1) / 2 * (num - 1)
    d = (place - torch.arange(-1, num + 1, dtype=at.dtype, device=at.device)[:, None]).abs()
    near, far = 2 / 3 - d**2 + d**3 / 2, (2 - d).clamp(min=0) ** 3 / 6
    weights = torch.where(d < 1, near, far)  # (num + 2, N)
    first, last = weights[:1], weights[-1:]
    zeros = torch.zeros_like(weights[2:-2])  # (num - 2, N)
    return (
        weights[1:-1] + torch.cat([2 * first, -first, zeros]) + torch.cat([zeros, -last, 2 * last])
    )
