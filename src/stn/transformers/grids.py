"""Grid generators (Section 3.2): where in the source U each pixel of the target V is read.

Pure functions from the parameters of a warp to a sampling grid (B, H, W, 2), or (B, D, H, W, 3) of
a volume. Conventions are those of `stn.transformers`. A grid is kept in memory as planes, one of x,
one of y, and returned as a view with (x, y) last: planes are what vectorises, here and in the
sampler.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from stn.transformers.checks import NO_SPLINE, has_twins, is_flat, output_size, refuse
from stn.transformers.eager import full_precision, is_eager

Size = tuple[int, ...]

FAR = 10.0
"""As far as this counts, in numbers about grids: past a horizon points have no place."""

NOWHERE = 1e6
"""Coordinate of a target point that has no source: it reads zero and has no gradient."""

HORIZON = 1e-3
"""Denominators of a projective warp up to here are at, or behind, the horizon."""

SHRINK = 2.0**-4
"""Homographies are divided by 16, exactly, so that no sum of three finite entries overflows."""


def base_grid(
    size: Size, dtype: torch.dtype = torch.float32, device: torch.device | None = None
) -> Tensor:
    """Return the regular target grid G, the grid of the identity.

    Args:
        size: (H, W) of an image, or (D, H, W) of a volume.
        dtype, device: of the grid.

    Returns:
        Positions (H, W, 2) or (D, H, W, 3).

    Raises:
        ValueError: the size is none of these, or not positive.
    """
    is_volume = isinstance(size, Sequence) and len(size) == 3
    axes = _axes(size, 3 if is_volume else 2, dtype, device)
    return torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1]).movedim(0, -1)


def affine_grid(theta: Tensor, size: Size) -> Tensor:
    """Eq. 1: (x_s, y_s) = A_theta (x_t, y_t, 1), and likewise with z for volumes (Appendix A.3).

    Args:
        theta: matrices A from target to source (B, 2, 3), or (B, 3, 4) of volumes.
        size: (H, W) of the target, or (D, H, W).

    Returns:
        The sampling grid (B, H, W, 2), or (B, D, H, W, 3).

    Raises:
        ValueError: theta has another shape, or the size is not positive.
    """
    if theta.shape[1:] != (3, 4):
        _check_shape("theta", theta, (2, 3))
    return _linear_forms(theta, size).movedim(1, -1)


def projective_grid(theta: Tensor, size: Size) -> Tensor:
    """Plane projective warp: (x_s, y_s) = (u / w, v / w) with (u, v, w) = theta (x_t, y_t, 1).

    A point is in front of the horizon where w > `HORIZON`. All others have no source, nor have
    those whose source would be `NOWHERE` or farther: they are `NOWHERE`. Coordinates and gradients
    are finite for every finite theta. The scale and the sign of theta matter for this: give it
    w = 1 at the centre, theta[:, 2, 2] = 1.

    Args:
        theta: homographies from target to source (B, 3, 3).
        size: (H, W) of the target.

    Returns:
        The sampling grid (B, H, W, 2).

    Raises:
        ValueError: theta has another shape, or the size is not positive.
    """
    _check_shape("theta", theta, (3, 3))
    theta = SHRINK * theta.to(torch.promote_types(theta.dtype, torch.float32))
    planes = _Perspective.apply(theta, size) if is_eager(theta) else _perspective(theta, size)
    return planes.permute(0, 2, 3, 1)


def tps_grid(offsets: Tensor, basis: Tensor) -> Tensor:
    """Thin plate spline warp: the smoothest one that moves every control point by its offset.

    The spline is linear in the offsets, so the grid is the regular grid plus one product with a
    fixed basis: the paper's T_theta = M_theta B.

    Args:
        offsets: source minus target position of each control point (B, K, 2).
        basis: influence of each control point on each target pixel (K, H, W), from `tps_basis`.

    Returns:
        The sampling grid (B, H, W, 2).

    Raises:
        ValueError: the offsets do not fit the basis.
    """
    num_points, height, width = basis.shape
    _check_shape("offsets", offsets, (num_points, 2))
    regular = base_grid((height, width), basis.dtype, basis.device).permute(2, 0, 1).view(2, 1, -1)
    planes = offsets.to(basis.dtype).permute(2, 0, 1)  # (2, B, K)
    with full_precision(offsets.device):
        grid = torch.baddbmm(regular, planes, basis.flatten(1).expand(2, -1, -1))  # (2, B, H W)
    return grid.view(2, offsets.shape[0], height, width).permute(1, 2, 3, 0)


def tps_basis(targets: Tensor, size: Size) -> Tensor:
    """Influence of each of K control points on each target pixel (K, H, W), in float64.

    The spline through K displacements minimises bending energy: it is a sum of the K kernels
    r^2 log r^2 plus an affine part, with the coefficients from one linear system (Bookstein,
    1989). The system depends on the control points only, so its inverse is a constant.

    Args:
        targets: control points (K, 2) in the target.
        size: (H, W) of the target.

    Raises:
        ValueError: two control points coincide, or all lie on one line.
    """
    return tps_influence(targets, tps_coefficients(targets), size)


def tps_coefficients(targets: Tensor) -> Tensor:
    """Coefficients (K + 3, K) of the splines that move one of K control points by 1, in float64."""
    targets = targets.double()
    refuse((has_twins(targets[None]) | is_flat(targets[None])), NO_SPLINE)
    system = targets.new_zeros(len(targets) + 3, len(targets) + 3)
    system[: len(targets)] = _radial_and_affine(targets, targets)
    system[len(targets) :, : len(targets)] = system[: len(targets), len(targets) :].T
    return torch.linalg.inv(system)[:, : len(targets)]


def tps_influence(targets: Tensor, coefficients: Tensor, size: Size) -> Tensor:
    """Values (K, H, W) of the splines with these coefficients at each target pixel, in float64."""
    targets = targets.double()
    pixels = base_grid(size, targets.dtype, targets.device)  # (H, W, 2)
    basis = _radial_and_affine(pixels.reshape(-1, 2), targets) @ coefficients  # (H W, K)
    return basis.T.reshape(-1, *pixels.shape[:2]).contiguous()


def outside_fraction(grid: Tensor) -> Tensor:
    """Share of samples (B,) that lie outside the image, in [0, 1]; not finite counts as outside."""
    inside = (grid.abs() <= 1).all(dim=-1)
    return 1 - inside.flatten(1).float().mean(dim=1)


class _Perspective(torch.autograd.Function):
    """Planes (u / w, v / w) of `SHRINK` theta (B, 3, 3): (B, 2, H, W). See `projective_grid`.

    Written out because the gradient is short in terms of the result: with g = grad / w, that of
    (u, v, w) is (g_x, g_y, -g_x x_s - g_y y_s). Without a source 1 / w is taken as 0 there.
    A gradient that is to be differentiated again is that of `_perspective`, the same function.
    """

    @staticmethod
    def forward(ctx: Any, theta: Tensor, size: Size) -> Tensor:
        forms = _linear_forms(theta, size)
        w = forms[:, 2:]
        inverse = w.reciprocal()
        planes = forms[:, :2] * inverse
        if not _all_have_source(theta):
            has_source = _has_source(forms[:, :2], w)
            planes = torch.where(has_source, planes, NOWHERE)
            inverse = torch.where(has_source, inverse, 0.0)
        ctx.save_for_backward(theta, planes, inverse)
        return planes

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        theta, planes, inverse = ctx.saved_tensors
        if torch.is_grad_enabled():
            again = _perspective(theta, planes.shape[2:])
            (of_theta,) = torch.autograd.grad(again, theta, grad, create_graph=True)
            return of_theta, None
        of_u_v = grad * inverse
        rows_u_v = _moments(of_u_v)
        row_w = -_moments(of_u_v.mul_(planes)).sum(dim=1, keepdim=True)
        return torch.cat([rows_u_v, row_w], dim=1), None


def _perspective(theta: Tensor, size: Size) -> Tensor:
    """The function of `_Perspective` as torch differentiates it, any number of times."""
    u_v, w = _linear_forms(theta, size).split([2, 1], dim=1)
    has_source = _has_source(u_v, w)
    planes = u_v / torch.where(has_source, w, 1.0)
    return torch.where(has_source, planes, NOWHERE)


def _has_source(u_v: Tensor, w: Tensor) -> Tensor:
    """Where (B, 1, H, W) a point is in front of the horizon, and its source nearer than NOWHERE."""
    return (w > SHRINK * HORIZON) & (u_v.abs() < NOWHERE * w).all(dim=1, keepdim=True)


def _all_have_source(theta: Tensor) -> bool:
    """True if all points are known to have one: w is least, u and v are most, at some corner.

    Asked only where the answer does not wait for a device.
    """
    if theta.device.type != "cpu":
        return False
    least = theta[:, 2, 2] - theta[:, 2, :2].abs().sum(dim=1)  # (B,)
    most = theta[:, :2].abs().sum(dim=2).amax(dim=1)
    return bool(((least > 2 * SHRINK * HORIZON) & (2 * most < NOWHERE * least)).all())


def _linear_forms(theta: Tensor, size: Size) -> Tensor:
    """Rows of theta (B, R, 3) times (x_t, y_t, 1) at every target pixel: (B, R, H, W).

    Of theta (B, R, 4) times (x_t, y_t, z_t, 1), likewise: (B, R, D, H, W).

    An outer sum of a part of each axis. It is exact for the identity, where a product of matrices
    is not on a GPU that rounds their entries to TF32.
    """
    theta = theta.to(torch.promote_types(theta.dtype, torch.float32))
    *factors, shift = (column.unsqueeze(2) for column in theta.unbind(2))  # of x, y, ...: (B, R, 1)
    axes = _axes(size, len(factors), theta.dtype, theta.device)  # ..., y, x
    forms = factors.pop() * axes[0] + shift  # (B, R, H) of an image
    for axis in axes[1:]:
        part = factors.pop() * axis  # (B, R, W)
        while part.ndim <= forms.ndim:
            part = part.unsqueeze(2)
        forms = forms.unsqueeze(-1) + part
    return forms


def _moments(planes: Tensor) -> Tensor:
    """Sums of planes (B, R, H, W) against x_t, y_t and 1, the transpose of `_linear_forms`."""
    height, width = planes.shape[2:]
    y_t, x_t = _axes((height, width), 2, planes.dtype, planes.device)
    rows, columns = planes.sum(dim=3), planes.sum(dim=2)  # (B, R, H), (B, R, W)
    sums = (columns * x_t).sum(dim=2), (rows * y_t).sum(dim=2), rows.sum(dim=2)
    return torch.stack(sums, dim=2)


def _axes(
    size: Size, num_axes: int, dtype: torch.dtype, device: torch.device | None
) -> list[Tensor]:
    """Normalised pixel centres (H,) of y and (W,) of x; of a volume (D,) of z before them."""
    return [_axis(n, dtype, device) for n in output_size(size, num_axes)]


def _axis(side: int, dtype: torch.dtype, device: torch.device | None) -> Tensor:
    if is_eager():
        start = -1.0 if side > 1 else 0.0
        return torch.linspace(start, 1.0, side, dtype=dtype, device=device)
    twice = 2 * torch.arange(side, dtype=dtype, device=device)  # a linspace fixes the side
    return (twice - (side - 1)) / max(side - 1, 1)


def _radial_and_affine(points: Tensor, targets: Tensor) -> Tensor:
    """Rows (r_1^2 log r_1^2, ..., r_K^2 log r_K^2, 1, x, y) of N points: (N, K + 3)."""
    squared = (points[:, None] - targets).square().sum(dim=-1)
    radial = torch.xlogy(squared, squared)
    return torch.cat([radial, torch.ones_like(points[:, :1]), points], dim=1)


def _check_shape(name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    if value.ndim != 1 + len(shape) or tuple(value.shape[1:]) != shape:
        wanted = ", ".join(map(str, shape))
        raise ValueError(f"{name} must have shape (B, {wanted}), got {tuple(value.shape)}")
