"""Samplers (Section 3.3): V at each grid point is a sum of U's pixels, weighted by a kernel.

Eq. 3:  V_i = sum_n sum_m U_nm k(x_s - m) k(y_s - n),  with x_s, y_s in pixels, the same for all
channels. Of a volume the sum is over three axes, with a factor k(z_s - l) more (Appendix A.3).
torch's `grid_sample` is the back end: it visits the support of the kernel only. Where a call is
recorded, transformed or simulated, `stn.transformers.definition` computes the same.
"""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from operator import and_
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stn.transformers.definition import by_definition
from stn.transformers.eager import is_eager
from stn.transformers.grids import NOWHERE


def sample(U: Tensor, grid: Tensor, kernel: str = "bilinear") -> Tensor:
    """Sample U at the positions of a grid, Eq. 3.

    Args:
        U: images (B, C, H, W) of any floating type, or volumes (B, C, D, H, W).
        grid: sampling positions (B, H', W', 2), normalised, (x, y) last; of volumes
            (B, D', H', W', 3), (x, y, z) last.
        kernel: `integer`, `bilinear` (of volumes trilinear) or `bicubic` (tricubic).

    Returns:
        V (B, C, H', W'), or (B, C, D', H', W'), of the type of U.

    Raises:
        ValueError: the kernel is unknown, or the shapes do not fit.
    """
    if kernel not in KERNELS:
        raise ValueError(f"unknown kernel {kernel!r}; valid are {', '.join(KERNELS)}")
    _check_shapes(U, grid)
    dtype = torch.promote_types(torch.promote_types(U.dtype, grid.dtype), torch.float32)
    source, grid = U.to(dtype), grid.to(dtype)
    eager = is_eager(U, grid)
    way = KERNELS[kernel] if eager else partial(by_definition, kernel=kernel)
    if eager and _all_readable(grid):
        return way(source, grid).to(U.dtype)
    readable = reduce(and_, (x < NOWHERE for x in grid.abs().unbind(dim=-1)))  # (B, H', W')
    V = way(source, torch.where(readable[..., None], grid, 0.0))
    return torch.where(readable[:, None], V, 0.0).to(U.dtype)


def integer(U: Tensor, grid: Tensor) -> Tensor:
    """Eq. 4: the pixel at (floor(x_s + 0.5), floor(y_s + 0.5)).

    It is constant between jumps: the gradient with respect to the grid is zero.
    """
    sides = U.shape[:1:-1]  # W, H, ...
    half, scale = (
        _like([(side - 1) / 2 for side in sides], grid),
        _like([2 / side for side in sides], grid),
    )
    nearest = (grid * half).add_(half + 0.5).floor_()
    centre = nearest.mul_(scale).add_(scale / 2 - 1)
    return F.grid_sample(U, centre, mode="nearest", padding_mode="zeros", align_corners=False)


def bilinear(U: Tensor, grid: Tensor) -> Tensor:
    """Eq. 5: k(d) = max(0, 1 - |d|), with the sub-gradients of Eq. 6 and 7.

    Differs from the paper: where x_s is exactly an integer m, Eq. 7 read literally gives U_m as
    the derivative; here it is the derivative from the right, U_(m+1) - U_m. This matters, for at
    the identity, where training starts, every sample is such a point.
    """
    return _interpolate(U, grid, "bilinear")


def bicubic(U: Tensor, grid: Tensor) -> Tensor:
    """Cubic convolution (Keys, 1981) with a = -0.75, torch's choice.

    k(d) = (a + 2)|d|^3 - (a + 3)|d|^2 + 1 up to |d| = 1, a|d|^3 - 5a|d|^2 + 8a|d| - 4a up to 2.
    """
    if U.ndim == 5:  # which torch has no quicker way for
        return by_definition(U, grid, "bicubic")
    return _interpolate(U, grid, "bicubic")


KERNELS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "integer": integer,
    "bilinear": bilinear,
    "bicubic": bicubic,
}


def _interpolate(U: Tensor, grid: Tensor, mode: str) -> Tensor:
    if _is_small(U, grid) or _holds_an_identity(grid, U.shape[2:]):
        U, grid = _on_canvas(U, grid)
        return F.grid_sample(U, grid, mode=mode, padding_mode="zeros", align_corners=False)
    return F.grid_sample(U, grid, mode=mode, padding_mode="zeros", align_corners=True)


def _is_small(U: Tensor, grid: Tensor) -> bool:
    """True for whole digits and the like, where a canvas costs little: any pixel is hit exactly."""
    if U.ndim == 5:
        return False
    height, width = U.shape[-2:]
    is_whole = grid.shape[1] * grid.shape[2] >= height * width
    return is_whole and U.shape[1] == 1 and 16 < max(height, width) <= 64


def _holds_an_identity(grid: Tensor, size: torch.Size) -> bool:
    """True if an image may be read pixel by pixel: its last corner is exactly the source's.

    Others are read where the back end rounds to, side * 2^-24 pixels away. To lay out a canvas for
    them would cost as much as all of U, however little of it is read.
    """
    if grid.shape[1:-1] != size or grid.device.type != "cpu":
        return grid.shape[1:-1] == size
    corner = grid.detach()
    for _ in size:
        corner = corner[:, -1]
    return [float(side > 1) for side in reversed(size)] in corner.abs().tolist()


def _on_canvas(U: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Lay U in the corner of a black canvas whose sides are powers of two, and move the grid along.

    On such a canvas, with its edges at -1 and 1, the centre of every pixel is a floating point
    number, (2m + 1) / side - 1, and the back end turns it into the integer m without rounding. A
    grid that means to hit the pixels is made to do so by `_Rescale`, and the identity returns U
    bit for bit. Left alone, rounding would move it by up to width * 2^-23 pixels.
    """
    sides = U.shape[:1:-1]  # W, H, ...
    wide = [_next_power_of_two(side) for side in sides]
    pairs = list(zip(sides, wide, strict=True))
    canvas = U
    if any(side != of_canvas for side, of_canvas in pairs):
        canvas = F.pad(U, [n for side, of_canvas in pairs for n in (0, of_canvas - side)])
    scale = _like([(side - 1) / of_canvas for side, of_canvas in pairs], grid)
    shift = _like([side / of_canvas - 1 for side, of_canvas in pairs], grid)
    return canvas, _Rescale.apply(grid, scale, shift)


class _Rescale(torch.autograd.Function):
    """grid * scale + shift, rounded to multiples of 2^-22 (of 2^-51 in float64).

    Adding 3 and taking it off again rounds. Written out for its gradient: the sampler returns it
    with x and y interleaved, and all that follows is faster on planes, as `grids` makes them.
    """

    @staticmethod
    def forward(ctx: Any, grid: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        ctx.save_for_backward(scale)
        return (grid * scale).add_(shift + 3).sub_(3)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (scale,) = ctx.saved_tensors
        planes = grad.movedim(-1, 1).clone(memory_format=torch.contiguous_format)
        planes.flatten(2).mul_(scale[:, None])
        return planes.movedim(1, -1), None, None


def _next_power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()


def _like(numbers: Sequence[float], grid: Tensor) -> Tensor:
    """One number for each of x, y, ..., to be combined with a grid; made on its device."""
    each = torch.full((len(numbers),), numbers[0], dtype=grid.dtype, device=grid.device)
    for i, number in enumerate(numbers[1:], start=1):
        each[i:].fill_(number)
    return each


def _all_readable(grid: Tensor) -> bool:
    """True if every coordinate is known to be finite and nearer than `NOWHERE`.

    Asked only where the answer is cheap: on a GPU the question would wait for the device.
    """
    if grid.device.type != "cpu":
        return False
    if grid.numel() == 0:
        return True
    lowest, highest = torch.aminmax(grid.detach().movedim(-1, 1))  # in the order of memory
    return lowest.item() > -NOWHERE and highest.item() < NOWHERE


def _check_shapes(U: Tensor, grid: Tensor) -> None:
    num_axes = U.ndim - 2
    fits = grid.ndim == U.ndim and grid.shape[-1] == num_axes and U.shape[0] == grid.shape[0]
    if num_axes not in (2, 3) or not fits:
        raise ValueError(
            "sample needs U of shape (B, C, H, W) and a grid of shape (B, H', W', 2) with the same"
            " B, or volumes (B, C, D, H, W) and (B, D', H', W', 3), got"
            f" {tuple(U.shape)} and {tuple(grid.shape)}"
        )
    if not (U.is_floating_point() and grid.is_floating_point()):
        raise ValueError(f"sample needs floating types, got U {U.dtype} and grid {grid.dtype}")
