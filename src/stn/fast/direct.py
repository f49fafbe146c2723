"""Convolution and 2x2 max pooling in slices of the batch that stay in the cache.

The gradient with respect to an input of few channels, which only a layer behind a spatial
transformer needs, is a matrix product here: each 2x2 block of outputs touches a window of
(k + 1) x (k + 1) pixels, so the blocks give windows by one product, and overlapping windows add up.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn import grad

from stn.fast.plain import plain_where_differentiated
from stn.fast.pooling import Corners, pool, pooled_like, unpool, unpooled_like, used_part

# A slice's convolution outputs should fit the processor's cache together with its gradient.
SLICE_FLOATS = 900_000
# With fewer input channels than this the library's input gradient leaves its vectors empty.
FEW_CHANNELS = 8


def slices(x: Tensor, weight: Tensor) -> list[slice]:
    """Cut the batch so that one slice's convolution output has about SLICE_FLOATS."""
    height, width = (side - weight.shape[-1] + 1 for side in x.shape[2:])
    num = max(1, len(x) * height * width * len(weight) // SLICE_FLOATS)
    step = -(-len(x) // num)
    return [slice(start, min(start + step, len(x))) for start in range(0, len(x), step)]


def _used_part(x: Tensor, kernel_size: int) -> Tensor:
    """Part of x that pooling keeps something of, channels last in memory."""
    return used_part(x, kernel_size).to(memory_format=torch.channels_last)


def window_weight(weight: Tensor) -> Tensor:
    """Weights from a 2x2 block of outputs to the window of inputs it was made of.

    Args:
        weight: filters (K, C, k, k).

    Returns:
        (T, K, 2, 2), the filters moved to the four places where they touch the window. The T
        entries of the window are in the order (row, column, channel); its side is k + 1, or
        k + 2 where k + 1 is odd.
    """
    num_filters, channels, size, _ = weight.shape
    side = (size + 2) // 2 * 2
    windows = weight.new_zeros(side, side, channels, num_filters, 2, 2)
    taps = weight.permute(2, 3, 1, 0)
    for i in (0, 1):
        for j in (0, 1):
            windows[i : i + size, j : j + size, :, :, i, j] = taps
    return windows.view(-1, num_filters, 2, 2).to(memory_format=torch.channels_last)


def fold(windows: Tensor) -> Tensor:
    """Add up windows that overlap at steps of 2 pixels: the rows of all windows, then the columns.

    Windows half a side's steps apart touch without overlap, so s / 2 additions do all rows.

    Args:
        windows: (B, H', W', s, s, C), s even.

    Returns:
        Sums (B, 2 H' + s - 2, 2 W' + s - 2, C).
    """
    batch, height, width, size, _, channels = windows.shape
    rows, columns = 2 * height + size - 2, 2 * width + size - 2
    strips = windows.new_zeros(batch, width, rows, size, channels)
    for i in range(size // 2):
        apart = windows[:, i :: size // 2].transpose(1, 2)
        touched = slice(2 * i, 2 * i + apart.shape[2] * size)
        strips[:, :, touched].unflatten(2, (-1, size)).add_(apart)
    sums = windows.new_zeros(batch, rows, columns, channels)
    for j in range(width):
        sums[:, :, 2 * j : 2 * j + size] += strips[:, j]
    return sums


def _input_gradient(gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """Gradient with respect to x (B, C, H, W) from the one with respect to the convolution."""
    size = weight.shape[-1]
    if weight.shape[1] >= FEW_CHANNELS:
        return grad.conv2d_input(list(x.shape), weight, gradient)
    windows = F.conv2d(gradient, window_weight(weight), stride=2).permute(0, 2, 3, 1)
    window_size = (size + 2) // 2 * 2
    sums = fold(windows.unflatten(-1, (window_size, window_size, -1)))
    return sums.permute(0, 3, 1, 2)[:, :, : x.shape[2], : x.shape[3]]


class DirectConvMaxPool(torch.autograd.Function):
    """`conv_max_pool_plain` slice by slice, with a gradient of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Pooled outputs (B, K, H', W')."""
        ordered = weight.to(memory_format=torch.channels_last)
        used, out = _used_part(x, weight.shape[-1]), pooled_like(x, *weight.shape[::3])
        edges = [
            pool(Corners.of(F.conv2d(used[part], ordered, bias)), out[part])
            for part in slices(x, weight)
        ]
        ctx.save_for_backward(x, weight, bias, *edges)
        return out

    @staticmethod
    @plain_where_differentiated
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Gradients with respect to x, weight and bias."""
        x, weight, _, *edges = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        ordered = weight.to(memory_format=torch.channels_last)
        used = _used_part(x, weight.shape[-1])
        grad_x = torch.zeros_like(x) if needs_x else None
        grad_weight = torch.zeros_like(ordered) if needs_weight else None
        buffer = unpooled_like(edges[0])
        for part, edge in zip(slices(x, weight), edges, strict=True):
            grad_y = buffer[: edge.shape[1]]
            unpool(gradient[part], edge, Corners.of(grad_y))
            if grad_weight is not None:
                grad_weight += grad.conv2d_weight(used[part], list(ordered.shape), grad_y)
            if grad_x is not None:
                grad_used = grad_x[part, :, : used.shape[2], : used.shape[3]]
                grad_used.copy_(_input_gradient(grad_y, used[part], ordered))
        return grad_x, grad_weight, gradient.sum((0, 2, 3)) if needs_bias else None
