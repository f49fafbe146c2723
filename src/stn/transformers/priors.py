"""More families of warps: four corners, a cubic spline of displacements, and flows.

They keep the contract of `transforms`, and are there as priors: what they can do and cannot.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from stn.transformers.checks import output_size, whole_numbers
from stn.transformers.grids import Size, base_grid, projective_grid
from stn.transformers.samplers import sample
from stn.transformers.transforms import (
    ControlPointFamily,
    _at_least_float32,
    _check_theta,
    _points,
)


@final
@dataclass(frozen=True)
class FourCorners:
    """The plane projective warp by the offsets (dx, dy) of where the target's corners are read.

    theta holds them clockwise from the top left, in normalised units. The same warps as those of
    `Projective`, but for those with the horizon across the target; its parameters are all of one
    scale. Of corners that lie on a line, or fold the target, most reads nothing.
    """

    num_params: ClassVar[int] = 8

    def identity(self) -> Tensor:
        """Return the offsets (8,) that change nothing: zeros."""
        return torch.zeros(8)

    def grid(self, theta: Tensor, size: Size) -> Tensor:
        """Return the sampling grid (B, H, W, 2) of theta (B, 8) for a target of size (H, W).

        A square's homography in closed form (Heckbert, 1989), the centre's denominator 1.
        """
        _check_theta(theta, self)
        theta = _at_least_float32(theta)
        square = theta.new_tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        p0, p1, p2, p3 = (square + _points(theta)).unbind(1)  # (B, 2) each
        side, other, fold = p1 - p2, p3 - p2, p0 - p1 + p2 - p3
        area = _cross(side, other)
        area = torch.where(area.abs() < 1e-6, 1e-6, area)  # of corners on a line, no division by 0
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
class Diffeomorphic:
    """The flow along a velocity that is bilinear between control points, for one unit of time.

    theta holds the velocities (dx, dy), points row by row from the top left. Paths of a flow do not
    cross: the warp does not fold, however large theta is, up to the steps in which it is computed.
    Beyond the border the velocity is that of the nearest point of the border. (Freifeld et al.,
    2017, have velocities that are affine in triangles, whose flow they give in closed form.)

    Args:
        points: rows and columns of control points, at least 2 each; or one number for both.
        steps: of equal length, to the middle and on (the midpoint method).

    Raises:
        ValueError: fewer than two rows or columns or no step, or no whole numbers.
    """

    points: tuple[int, int] = (4, 4)
    steps: int = 4

    def __post_init__(self) -> None:
        name = f"points of {type(self).__name__}"
        points = whole_numbers(name, "(rows, columns)", self.points, least=2)
        object.__setattr__(self, "points", points)
        if type(self.steps) is not int or self.steps < 1:
            raise ValueError(f"steps must be a whole number from 1 up, not {self.steps!r}")

    @property
    def num_params(self) -> int:
        """Two for each control point."""
        return 2 * self.points[0] * self.points[1]

    def identity(self) -> Tensor:
        """Return the velocities (2K,) that change nothing: zeros."""
        return torch.zeros(self.num_params)

    def grid(self, theta: Tensor, size: Size) -> Tensor:
        """Return the sampling grid (B, H, W, 2) of theta (B, 2K) for a target of size (H, W)."""
        _check_theta(theta, self)
        theta = _at_least_float32(theta)
        velocity = theta.reshape(-1, *self.points, 2).permute(0, 3, 1, 2)  # (B, 2, n, m)
        place = base_grid(output_size(size), theta.dtype, theta.device)
        place = place.expand(len(theta), -1, -1, -1)
        for _ in range(self.steps):
            middle = place + self._velocity(velocity, place) / (2 * self.steps)
            place = place + self._velocity(velocity, middle) / self.steps
        return place

    @staticmethod
    def _velocity(velocity: Tensor, place: Tensor) -> Tensor:
        return sample(velocity, place.clamp(-1, 1)).permute(0, 2, 3, 1)


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
    zeros = weights.new_zeros(num - 2, len(at))
    return (
        weights[1:-1] + torch.cat([2 * first, -first, zeros]) + torch.cat([zeros, -last, 2 * last])
    )
