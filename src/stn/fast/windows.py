"""Convolution and 2x2 max pooling as a matrix product over windows, two rows of outputs at a time.

For images of few channels under few filters, such as the first layer of a localisation network:
the library leaves its vectors half empty there. Memory is ordered (channel, row, column, image), so
every pass runs along all images at once, and the windows of two rows stay in the cache.
"""

from typing import Any

import torch
from torch import Tensor

from stn.fast.plain import plain_where_differentiated
from stn.fast.pooling import Corners, pool, unpool, unpooled_like, used_part


def _pixels(x: Tensor, kernel_size: int) -> Tensor:
    """Order what pooling keeps of x (B, C, H, W) as (C, H, W, B)."""
    return used_part(x, kernel_size).permute(1, 2, 3, 0).contiguous()


def _windows(pixels: Tensor, row: int, size: int) -> Tensor:
    """Windows (C k k, 2 W' B) under the output rows `row` and `row + 1`."""
    rows = pixels[:, row : row + size + 1]
    return (
        rows.unfold(1, size, 1)
        .unfold(2, size, 1)
        .permute(0, 4, 5, 1, 2, 3)
        .flatten(3)
        .flatten(0, 2)
    )


def _as_outputs(rows: Tensor, batch: int) -> Tensor:
    """View (K, 2 W' B) as outputs (B, K, 2, W')."""
    return rows.view(len(rows), 2, -1, batch).permute(3, 0, 1, 2)


class WindowsConvMaxPool(torch.autograd.Function):
    """`conv_max_pool_plain` by windows; an image's own gradient is not given."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Pooled outputs (B, K, H', W'), their memory ordered (K, H', W', B)."""
        assert not ctx.needs_input_grad[0]
        size, batch = weight.shape[-1], x.shape[0]
        pixels, edges = _pixels(x, size), []
        height, width = ((side - size + 1) // 2 for side in pixels.shape[1:3])
        out = x.new_empty(len(weight), height, width, batch).permute(3, 0, 1, 2)
        for i in range(height):
            y = torch.mm(weight.flatten(1), _windows(pixels, 2 * i, size))
            edges.append(pool(Corners.of(_as_outputs(y, batch)), out[:, :, i : i + 1]))
        ctx.save_for_backward(x, weight, bias, pixels, *edges)
        return out.add_(bias[:, None, None])

    @staticmethod
    @plain_where_differentiated
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        """Gradients with respect to weight and bias."""
        _, weight, _, pixels, *edges = ctx.saved_tensors
        _, needs_weight, needs_bias = ctx.needs_input_grad
        grad_weight = torch.zeros_like(weight).flatten(1)
        grad_y = unpooled_like(edges[0])
        for i, edge in enumerate(edges if needs_weight else []):
            unpool(gradient[:, :, i : i + 1], edge, Corners.of(grad_y))
            rows = grad_y.permute(1, 2, 3, 0).flatten(1)
            grad_weight.addmm_(rows, _windows(pixels, 2 * i, weight.shape[-1]).T)
        return (
            None,
            grad_weight.view_as(weight) if needs_weight else None,
            gradient.sum((0, 2, 3)) if needs_bias else None,
        )
