"""Families of warps T_theta (Section 3.2): thin classes over the functions of `grids`.

A transform turns a row of parameters per image into a sampling grid. It has no state, so that one
object may serve any number of networks, sizes, types and devices. A new family is a class with
`num_params`, `identity` and `grid`.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Protocol, final

import torch
from torch import Tensor

from stn.transformers.grids import (
    NOWHERE,
    Size,
    affine_grid,
    base_grid,
    projective_grid,
    tps_basis,
    tps_grid,
)


class Transform(Protocol):
    """What a family of warps offers."""

    @property
    def num_params(self) -> int:
        """Number P of parameters of one warp."""

    def identity(self) -> Tensor:
        """Return the parameters (P,) that change nothing."""

    def grid(self, theta: Tensor, size: Size) -> Tensor:
        """Return the sampling grid (B, H, W, 2) of theta (B, P) for a target of size (H, W).

        Raises:
            ValueError: theta has another shape.
        """


class _AffineFamily(ABC):
    """Warps whose theta spells out a 2x3 matrix, Eq. 1."""

    num_params: ClassVar[int]

    @abstractmethod
    def identity(self) -> Tensor:
        """Return the parameters (P,) that change nothing."""

    @abstractmethod
    def matrix(self, theta: Tensor) -> Tensor:
        """Return the matrices A (B, 2, 3) from target to source of theta (B, P)."""

    def grid(self, theta: Tensor, size: Size) -> Tensor:
        """Return the sampling grid (B, H, W, 2) of theta (B, P) for a target of size (H, W)."""
        _check_theta(theta, self)
        return affine_grid(self.matrix(_at_least_float32(theta)), size)


@final
@dataclass(frozen=True)
class Translation(_AffineFamily):
    """A shift: theta = (tx, ty), A = [[1, 0, tx], [0, 1, ty]]."""

    num_params: ClassVar[int] = 2

    def identity(self) -> Tensor:  # noqa: D102
        return torch.zeros(2)

    def matrix(self, theta: Tensor) -> Tensor:  # noqa: D102
        t_x, t_y = theta.unbind(1)
        one, zero = torch.ones_like(t_x), torch.zeros_like(t_x)
        return _matrix(one, zero, t_x, zero, one, t_y)


@final
@dataclass(frozen=True)
class Attention(_AffineFamily):
    """Eq. 2: a crop with zoom: theta = (s, tx, ty), A = [[s, 0, tx], [0, s, ty]]."""

    num_params: ClassVar[int] = 3

    def identity(self) -> Tensor:  # noqa: D102
        return torch.tensor([1.0, 0.0, 0.0])

    def matrix(self, theta: Tensor) -> Tensor:  # noqa: D102
        s, t_x, t_y = theta.unbind(1)
        zero = torch.zeros_like(s)
        return _matrix(s, zero, t_x, zero, s, t_y)


@final
@dataclass(frozen=True)
class Rotation(_AffineFamily):
    """A turn about the centre: theta = (angle,) in radians, A = [[cos, -sin, 0], [sin, cos, 0]].

    The grid turns from x to y, clockwise as one looks at it, and so the content turns the other
    way. Normalised coordinates are turned: on images that are not square this also shears.
    """

    num_params: ClassVar[int] = 1

    def identity(self) -> Tensor:  # noqa: D102
        return torch.zeros(1)

    def matrix(self, theta: Tensor) -> Tensor:  # noqa: D102
        cos, sin = torch.cos(theta[:, 0]), torch.sin(theta[:, 0])
        zero = torch.zeros_like(cos)
        return _matrix(cos, -sin, zero, sin, cos, zero)


@final
@dataclass(frozen=True)
class Similarity(_AffineFamily):
    """Turn, zoom and shift: theta = (a, b, tx, ty), A = [[a, -b, tx], [b, a, ty]].

    (a, b) = (s cos, s sin) of the zoom s and the angle of `Rotation`. A is linear in theta, so no
    angle wraps round and no zoom has to be kept positive.
    """

    num_params: ClassVar[int] = 4

    def identity(self) -> Tensor:  # noqa: D102
        return torch.tensor([1.0, 0.0, 0.0, 0.0])

    def matrix(self, theta: Tensor) -> Tensor:  # noqa: D102
        a, b, t_x, t_y = theta.unbind(1)
        return _matrix(a, -b, t_x, b, a, t_y)


@final
@dataclass(frozen=True)
class Affine(_AffineFamily):
    """Eq. 1: theta is A, row by row."""

    num_params: ClassVar[int] = 6

    def identity(self) -> Tensor:  # noqa: D102
        return torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])

    def matrix(self, theta: Tensor) -> Tensor:  # noqa: D102
        return theta.reshape(-1, 2, 3)


@final
@dataclass(frozen=True)
class Projective:
    """Plane projective warp: theta is the homography row by row, without its last entry, 1.

    The first six parameters are those of `Affine`. See `projective_grid` for the horizon.
    """

    num_params: ClassVar[int] = 8

    def identity(self) -> Tensor:
        """Return the parameters (8,) that change nothing."""
        return torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])

    def grid(self, theta: Tensor, size: Size) -> Tensor:
        """Return the sampling grid (B, H, W, 2) of theta (B, 8) for a target of size (H, W)."""
        _check_theta(theta, self)
        theta = _at_least_float32(theta)
        homography = torch.cat([theta, torch.ones_like(theta[:, :1])], dim=1)
        return projective_grid(homography.view(-1, 3, 3), size)


@final
@dataclass(frozen=True)
class ThinPlateSpline:
    """Thin plate spline over a regular grid of control points in the target.

    theta holds the offset (dx, dy) from target to source of each control point, in normalised
    units, points row by row from the top left.

    Differs from the paper: it does not say whether theta holds points or offsets. Offsets make the
    identity a zero, which is exact in any arithmetic and which weight decay pulls towards; with
    zero weights and the identity as bias both start alike and have the same gradients.

    Args:
        points: rows and columns of control points, at least 2 each; the paper has 16 points.

    Raises:
        ValueError: fewer than two rows or columns.
    """

    points: tuple[int, int] = (4, 4)

    def __post_init__(self) -> None:
        rows, columns = self.points
        object.__setattr__(self, "points", (int(rows), int(columns)))
        if min(self.points) < 2:
            raise ValueError(f"a thin plate spline needs at least 2x2 points, got {self.points}")

    @property
    def num_params(self) -> int:
        """Two for each control point."""
        return 2 * self.points[0] * self.points[1]

    def identity(self) -> Tensor:
        """Return the offsets (2K,) that change nothing: zeros."""
        return torch.zeros(self.num_params)

    def targets(self) -> Tensor:
        """Return the control points (K, 2) in the target, in float64."""
        return base_grid(self.points, torch.float64, torch.device("cpu")).reshape(-1, 2)

    def grid(self, theta: Tensor, size: Size) -> Tensor:
        """Return the sampling grid (B, H, W, 2) of theta (B, 2K) for a target of size (H, W)."""
        _check_theta(theta, self)
        height, width = size
        theta = _at_least_float32(theta)
        basis = _basis(self, (height, width), theta.dtype, theta.device)
        return tps_grid(_points(theta), basis)


def control_points(transform: Transform, theta: Tensor) -> Tensor:
    """Return the points (B, K, 2) in the source that theta (B, P) steers, for drawing.

    The control points of a thin plate spline where they are read, row by row; for every other
    family the four corners of the target.
    """
    if isinstance(transform, ThinPlateSpline):
        _check_theta(theta, transform)
        targets = transform.targets().to(theta)
        return targets + _points(theta)
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
    grid = transform.grid(theta, (num + 1, num + 1))
    top, right = grid[:, 0, :-1], grid[:, :-1, -1]
    bottom, left = grid[:, -1, 1:].flip(1), grid[:, :, 0].flip(1)
    return _visible(torch.cat([top, right, bottom, left], dim=1))


def _visible(points: Tensor) -> Tensor:
    return torch.where(points.abs() < NOWHERE, points, torch.nan)


def _basis(
    transform: ThinPlateSpline, size: Size, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Basis of a spline (K, H, W), remembered unless it is part of a graph being recorded."""
    if torch.compiler.is_compiling():
        return tps_basis(transform.targets(), size).to(device, dtype)
    return _remembered_basis(transform, size, dtype, device)


@lru_cache(maxsize=32)
def _remembered_basis(
    transform: ThinPlateSpline, size: Size, dtype: torch.dtype, device: torch.device
) -> Tensor:
    with torch.inference_mode(False):  # or training could not use what evaluation left here
        return tps_basis(transform.targets(), size).to(device, dtype)


def _matrix(*entries: Tensor) -> Tensor:
    """Six entries (B,), row by row, as matrices (B, 2, 3)."""
    return torch.stack(entries, dim=1).view(-1, 2, 3)


def _points(theta: Tensor) -> Tensor:
    return theta.reshape(theta.shape[0], theta.shape[1] // 2, 2)


def _at_least_float32(theta: Tensor) -> Tensor:
    return theta.to(torch.promote_types(theta.dtype, torch.float32))


def _check_theta(theta: Tensor, transform: Transform) -> None:
    if theta.ndim != 2 or theta.shape[1] != transform.num_params:
        raise ValueError(
            f"{transform} needs theta of shape (B, {transform.num_params}), "
            f"got {tuple(theta.shape)}"
        )
