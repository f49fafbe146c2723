"""Samplers (Section 3.3): V at each grid point is a sum of U's pixels, weighted by a kernel.

Eq. 3:  V_i = sum_n sum_m U_nm k(x_s - m) k(y_s - n),  with x_s, y_s in pixels, the same for all
channels. torch's `grid_sample` is the back end: it visits the support of the kernel only. Where a
call is recorded, transformed or simulated, `stn.transformers.definition` computes the same.
"""

from collections.abc import Callable
from functools import partial
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
        U: images (B, C, H, W) of any floating type.
        grid: sampling positions (B, H', W', 2), normalised, (x, y) last.
        kernel: `integer`, `bilinear` or `bicubic`.

    Returns:
        V (B, C, H', W') of the type of U.

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
    x, y = grid.abs().unbind(dim=-1)
    readable = (x < NOWHERE) & (y < NOWHERE)  # (B, H', W')
    V = way(source, torch.where(readable[..., None], grid, 0.0))
    return torch.where(readable[:, None], V, 0.0).to(U.dtype)


def integer(U: Tensor, grid: Tensor) -> Tensor:
    """Eq. 4: the pixel at (floor(x_s + 0.5), floor(y_s + 0.5)).

    It is constant between jumps: the gradient with respect to the grid is zero.
    """
    height, width = U.shape[-2:]
    half, scale = _like((width - 1) / 2, (height - 1) / 2, grid), _like(2 / width, 2 / height, grid)
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
    return _interpolate(U, grid, "bicubic")


KERNELS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "integer": integer,
    "bilinear": bilinear,
    "bicubic": bicubic,
}


def _interpolate(U: Tensor, grid: Tensor, mode: str) -> Tensor:
    if _is_small(U, grid) or _holds_an_identity(grid, U.shape[-2:]):
        U, grid = _on_canvas(U, grid)
        return F.grid_sample(U, grid, mode=mode, padding_mode="zeros", align_corners=False)
    return F.grid_sample(U, grid, mode=mode, padding_mode="zeros", align_corners=True)


def _is_small(U: Tensor, grid: Tensor) -> bool:
    """True for whole digits and the like, where a canvas costs little: any pixel is hit exactly."""
    height, width = U.shape[-2:]
    is_whole = grid.shape[1] * grid.shape[2] >= height * width
    return is_whole and U.shape[1] == 1 and 16 < max(height, width) <= 64


def _holds_an_identity(grid: Tensor, size: torch.Size) -> bool:
    """True if an image may be read pixel by pixel: its last corner is exactly the source's.

    Others are read where the back end rounds to, side * 2^-24 pixels away. To lay out a canvas for
    them would cost as much as all of U, however little of it is read.
    """
    if grid.shape[1:3] != size or grid.device.type != "cpu":
        return grid.shape[1:3] == size
    height, width = size
    return [float(width > 1), float(height > 1)] in grid.detach()[:, -1, -1].abs().tolist()


def _on_canvas(U: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Lay U in the corner of a black canvas whose sides are powers of two, and move the grid along.

    On such a canvas, with its edges at -1 and 1, the centre of every pixel is a floating point
    number, (2m + 1) / side - 1, and the back end turns it into the integer m without rounding. A
    grid that means to hit the pixels is made to do so by `_Rescale`, and the identity returns U
    bit for bit. Left alone, rounding would move it by up to width * 2^-23 pixels.
    """
    height, width = U.shape[-2:]
    rows, columns = _next_power_of_two(height), _next_power_of_two(width)
    canvas = U
    if (rows, columns) != (height, width):
        canvas = F.pad(U, (0, columns - width, 0, rows - height))
    scale = _like((width - 1) / columns, (height - 1) / rows, grid)
    shift = _like(width / columns - 1, height / rows - 1, grid)
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
        planes = grad.permute(0, 3, 1, 2).clone(memory_format=torch.contiguous_format)
        return planes.mul_(scale[:, None, None]).permute(0, 2, 3, 1), None, None


def _next_power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()


def _like(of_x: float, of_y: float, grid: Tensor) -> Tensor:
    """One number for x and one for y, to be combined with a grid; made on its device."""
    pair = torch.full((2,), of_x, dtype=grid.dtype, device=grid.device)
    pair[1:].fill_(of_y)
    return pair


def _all_readable(grid: Tensor) -> bool:
    """True if every coordinate is known to be finite and nearer than `NOWHERE`.

    Asked only where the answer is cheap: on a GPU the question would wait for the device.
    """
    if grid.device.type != "cpu":
        return False
    if grid.numel() == 0:
        return True
    lowest, highest = torch.aminmax(grid.detach().permute(0, 3, 1, 2))  # in the order of memory
    return lowest.item() > -NOWHERE and highest.item() < NOWHERE


def _check_shapes(U: Tensor, grid: Tensor) -> None:
    if U.ndim != 4 or grid.ndim != 4 or grid.shape[-1] != 2 or U.shape[0] != grid.shape[0]:
        raise ValueError(
            "sample needs U of shape (B, C, H, W) and a grid of shape (B, H', W', 2) with the same"
            f" B, got {tuple(U.shape)} and {tuple(grid.shape)}"
        )
    if not (U.is_floating_point() and grid.is_floating_point()):
        raise ValueError(f"sample needs floating types, got U {U.dtype} and grid {grid.dtype}")
