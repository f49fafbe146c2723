"""Families of warps T_theta (Section 3.2): thin classes over the functions of `grids`.

A transform turns a row of parameters per image into a sampling grid. It has no state, so that one
object may serve any number of networks, sizes, types and devices. A new family is a class with
`num_params`, `identity` and `grid`.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Protocol, final

import torch
from torch import Tensor

from stn.transformers.checks import instance, output_size, whole_numbers
from stn.transformers.eager import as_constant, is_eager
from stn.transformers.fitting import homography_through, spline_through
from stn.transformers.grids import (
    Size,
    affine_grid,
    base_grid,
    projective_grid,
    tps_coefficients,
    tps_grid,
    tps_influence,
)
from stn.transformers.triangles import triangle_basis


class Transform(Protocol):
    """What a family of warps offers."""

    @property
    def num_params(self) -> int:
        """Number P of parameters of one warp."""

    def identity(self) -> Tensor:
        """Return the parameters (P,) that change nothing."""

    def grid(self, theta: Tensor, size: Size) -> Tensor:
        """Return the sampling grid (B, H, W, 2) of theta (B, P) for a target of size (H, W).

        A family of warps of volumes has `num_axes = 3`; its grids are (B, D, H, W, 3), for targets
        of size (D, H, W).

        Raises:
            ValueError: theta has another shape.
        """


def checked_transform(transform: Transform) -> Transform:
    """Return a transform, or say what was given instead.

    Raises:
        ValueError: it is a class, such as `Affine` for `Affine()`, a name, or something else.
    """
    wanted = ("num_params", "identity", "grid")
    checked: Transform = instance("transform", "Affine()", transform, wanted)
    return checked


def num_axes(transform: Transform) -> int:
    """Return 3 of a family of warps of volumes, which says so, and 2 of any other."""
    return getattr(transform, "num_axes", 2)


class _AffineFamily(ABC):
    """Warps whose theta spells out a matrix, Eq. 1: 2x3, or of volumes 3x4."""

    num_params: ClassVar[int]

    @abstractmethod
    def identity(self) -> Tensor:
        """Return the parameters (P,) that change nothing."""

    @abstractmethod
    def matrix(self, theta: Tensor) -> Tensor:
        """Return the matrices A (B, 2, 3) from target to source of theta (B, P)."""

    def grid(self, theta: Tensor, size: Size) -> Tensor:
        """Return the sampling grid (B, H, W, 2) of theta (B, P) for a target of size (H, W)."""
        return affine_grid(self.matrix(_checked(theta, self)), size)


@final
@dataclass(frozen=True)
class Translation(_AffineFamily):
    """A shift: theta = (tx, ty), A = [[1, 0, tx], [0, 1, ty]].

    Args:
        zoom: a number to stand in place of 1: 0.5 cuts out a half (Section 4.3). The parameters of
            `identity` then cut out the middle.

    Raises:
        ValueError: a zoom that is 0 or not finite.
    """

    num_params: ClassVar[int] = 2
    zoom: float = 1.0

    def __post_init__(self) -> None:
        if self.zoom == 0 or not math.isfinite(self.zoom):
            raise ValueError(f"zoom must be finite and not 0, not {self.zoom}")

    def identity(self) -> Tensor:  # noqa: D102
        return torch.zeros(2)

    def matrix(self, theta: Tensor) -> Tensor:  # noqa: D102
        t_x, t_y = theta.unbind(1)
        zoom, zero = torch.full_like(t_x, self.zoom), torch.zeros_like(t_x)
        return _matrix(zoom, zero, t_x, zero, zoom, t_y)


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
class Affine3d(_AffineFamily):
    """Affine warps of volumes (Appendix A.3): theta is A (3, 4), row by row.

    Coordinates are (x, y, z): z runs along the depth, the first of a volume's sides (D, H, W).
    """

    num_axes: ClassVar[int] = 3
    num_params: ClassVar[int] = 12

    def identity(self) -> Tensor:  # noqa: D102
        return torch.eye(3, 4).flatten()

    def matrix(self, theta: Tensor) -> Tensor:  # noqa: D102
        return theta.reshape(-1, 3, 4)


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
        theta = _checked(theta, self)
        homography = torch.cat([theta, torch.ones_like(theta[:, :1])], dim=1)
        return projective_grid(homography.view(-1, 3, 3), size)

    @staticmethod
    def from_corners(source: Tensor, target: Tensor | None = None) -> Tensor:
        """Return the theta (B, 8) that shows four points of the source at four of the target.

        Args:
            source: where the four are read (B, 4, 2), normalised.
            target: where they are shown (B, 4, 2); None for the corners of the whole output,
                clockwise from the top left.

        Raises:
            ValueError: the shapes do not fit; or no homography carries the points.
        """
        if target is None:
            target = source.new_tensor([[[-1, -1], [1, -1], [1, 1], [-1, 1]]])
        return homography_through(source, target).flatten(1)[:, :8]


@dataclass(frozen=True)
class ControlPointFamily(ABC):
    """Warps by a regular grid of control points over the target, borders included.

    theta holds the offset (dx, dy) from target to source of each control point, in normalised
    units, points row by row from the top left.

    Args:
        points: rows and columns of control points, at least 2 each; or one number for both.

    Raises:
        ValueError: fewer than two rows or columns, or no whole numbers.
    """

    points: tuple[int, int] = (4, 4)

    def __post_init__(self) -> None:
        name = f"points of {type(self).__name__}"
        points = whole_numbers(name, "(rows, columns)", self.points, least=2)
        object.__setattr__(self, "points", points)

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

    def sources(self, theta: Tensor) -> Tensor:
        """Return where the control points are read (B, K, 2)."""
        _checked(theta, self)
        return self.targets().to(theta.dtype).to(theta.device) + _points(theta)

    @abstractmethod
    def basis(self, size: Size) -> Tensor:
        """Return the influence of each control point on each target pixel (K, H, W), in float64."""

    def grid(self, theta: Tensor, size: Size) -> Tensor:
        """Return the sampling grid (B, H, W, 2) of theta (B, 2K) for a target of size (H, W)."""
        theta = _checked(theta, self)
        basis = _basis(self, output_size(size), theta.dtype, theta.device)
        return tps_grid(_points(theta), basis)


@final
@dataclass(frozen=True)
class ThinPlateSpline(ControlPointFamily):
    """Thin plate spline through control points: the smoothest warp that moves each by its offset.

    See `ControlPointFamily` for theta; the paper has 4 x 4 points.

    Differs from the paper: it does not say whether theta holds points or offsets. Offsets make the
    identity a zero, which is exact in any arithmetic and which weight decay pulls towards; with
    zero weights and the identity as bias both start alike and have the same gradients.
    """

    def basis(self, size: Size) -> Tensor:  # noqa: D102
        constants = _spline_coefficients(self.points)
        coefficients = torch.tensor(constants, dtype=torch.float64, device="cpu")
        return tps_influence(self.targets(), coefficients, size)

    @staticmethod
    def from_points(source: Tensor, target: Tensor, size: Size) -> Tensor:
        """Return the sampling grids (B, H, W, 2) of splines through any points, others each.

        Args:
            source: where the points are read (B, K, 2), normalised, K at least 3.
            target: where they are shown (B, K, 2).
            size: (H, W) of the target.

        Raises:
            ValueError: the shapes do not fit; or target points coincide, or all lie on a line.
        """
        return spline_through(source, target, size)


@final
@dataclass(frozen=True)
class PiecewiseAffine(ControlPointFamily):
    """An affine warp in each triangle between control points (named in Section 3.2).

    See `ControlPointFamily` for theta, and `triangle_basis` for the triangles. A pixel moves with
    three control points only, and the warp is continuous, with a kink at every edge.
    """

    def basis(self, size: Size) -> Tensor:  # noqa: D102
        return triangle_basis(self.points, size)


def _basis(
    transform: ControlPointFamily, size: Size, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Basis of a family (K, H, W), remembered unless it is part of a graph being recorded."""
    if is_eager():
        return _remembered_basis(transform, size, dtype, device)
    return transform.basis(size).to(dtype).to(device)


@lru_cache(maxsize=32)
def _remembered_basis(
    transform: ControlPointFamily, size: Size, dtype: torch.dtype, device: torch.device
) -> Tensor:
    with torch.inference_mode(False):  # or training could not use what evaluation left here
        return transform.basis(size).to(dtype).to(device)


@torch.compiler.assume_constant_result
def _spline_coefficients(points: tuple[int, int]) -> list[list[float]]:
    """Coefficients of the splines over a grid of points: numbers, also for a recorded graph."""
    with as_constant():
        targets = base_grid(points, torch.float64, torch.device("cpu")).view(-1, 2)
        return tps_coefficients(targets).tolist()


def _matrix(*entries: Tensor) -> Tensor:
    """Six entries (B,), row by row, as matrices (B, 2, 3)."""
    return torch.stack(entries, dim=1).view(-1, 2, 3)


def _points(theta: Tensor) -> Tensor:
    return theta.reshape(theta.shape[0], theta.shape[1] // 2, 2)


def _checked(theta: Tensor, transform: Transform) -> Tensor:
    """Return theta in float32 at least."""
    if theta.ndim != 2 or theta.shape[1] != transform.num_params:
        raise ValueError(
            f"{transform} needs theta of shape (B, {transform.num_params}), "
            f"got {tuple(theta.shape)}"
        )
    return theta.to(torch.promote_types(theta.dtype, torch.float32))
