"""Convolution and 2x2 max pooling by a bilinear algorithm: fewer multiplications, same outputs.

The columns of an image are transformed as in `toom_cook`, so each of the r products becomes a
convolution along the rows, over all channels at once. Memory is ordered (column, row, image,
channel) from the layer's input to its output, which turns a transform into one matrix product.

Outputs that are equal in exact arithmetic may differ in the last digit here, so that pooling may
take another one of equals than `torch.nn.functional.max_pool2d`: a sub-gradient all the same.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stn.fast.plain import plain_where_differentiated
from stn.fast.pooling import Corners, pool, pooled_like, unpool, unpooled_like, used_part
from stn.fast.toom_cook import algorithm


def _apply(matrix: Tensor, x: Tensor) -> Tensor:
    """Apply a matrix (p, q) to the first axis of x (q, ...)."""
    return (matrix @ x.flatten(1)).unflatten(1, x.shape[1:])


def _as_images(x: Tensor) -> Tensor:
    """View (r, H, B, C) as r images (r, 1, C, H, B), channels last."""
    return x.unsqueeze(1).permute(0, 1, 4, 2, 3)


def _as_filters(x: Tensor) -> Tensor:
    """View (r, K, k, C) as r sets of filters along the rows (r, K, C, k, 1), channels last."""
    return x.unsqueeze(3).permute(0, 1, 4, 2, 3)


def _convolve(images: Tensor, filters: Tensor) -> Tensor:
    """Convolve r images (r, 1, C, H, B) with r sets of filters (r, K, C, k, 1): (r, H', B, K)."""
    height, batch = images.shape[3] - filters.shape[3] + 1, images.shape[4]
    out = images.new_empty(filters.shape[0], height, batch, filters.shape[1])
    for i, image in enumerate(images):
        out[i] = F.conv2d(image, filters[i])[0].permute(1, 2, 0)
    return out


def _convolve_backward(
    gradient: Tensor, images: Tensor, filters: Tensor, mask: list[bool]
) -> tuple[Tensor, Tensor]:
    """Gradient of `_convolve` as to images (r, H, B, C) and filters (r, K, k, C).

    The mask says which of the two are wanted; the other is left as it comes.
    """
    to_images = torch.empty_like(images[:, 0].permute(0, 2, 3, 1))
    to_filters = torch.empty_like(filters[..., 0].transpose(2, 3))
    settings = [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [*mask, False]
    for i, g in enumerate(gradient):
        image, taps, _ = torch.ops.aten.convolution_backward(
            g, images[i], filters[i], None, *settings
        )
        if mask[0]:
            to_images[i] = image[0].permute(1, 2, 0)
        if mask[1]:
            to_filters[i] = taps[..., 0].transpose(1, 2)
    return to_images, to_filters


def _input_gradient(to_columns: Tensor, grad_images: Tensor, size: torch.Size) -> Tensor:
    """Gradient (B, C, *size) with zeros where pooling dropped rows and columns.

    Args:
        to_columns: B (n, r).
        grad_images: gradient with respect to the transformed images (r, H, B, C).
        size: (height, width) of the image.
    """
    _, height, batch, channels = grad_images.shape
    out = grad_images.new_empty(size[1], size[0], batch, channels)
    used = out[: len(to_columns), :height]
    torch.mm(to_columns, grad_images.flatten(1), out=used.view(len(used), -1))
    out[len(used) :] = 0
    out[:, height:] = 0
    return out.permute(2, 3, 1, 0)


class BilinearConvMaxPool(torch.autograd.Function):
    """`conv_max_pool_plain` by the bilinear algorithm, with a gradient by its transpose."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Pooled outputs (B, K, H', W')."""
        size = weight.shape[-1]
        columns = used_part(x, size).permute(3, 2, 0, 1)
        ctx.algorithm = algorithm(columns.shape[0] - size + 1, size, x.dtype)
        ctx.size = x.shape[2:]
        to_output, to_weight, to_input = ctx.algorithm
        filters = _as_filters(_apply(to_weight, weight.permute(3, 0, 2, 1)))
        images = _as_images(_apply(to_input, columns))
        y = _apply(to_output, _convolve(images, filters)).permute(2, 3, 1, 0)
        out = pooled_like(x, *weight.shape[::3])
        ctx.save_for_backward(x, weight, bias, images, filters, pool(Corners.of(y), out))
        return out.add_(bias[:, None, None])

    @staticmethod
    @plain_where_differentiated
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Gradients with respect to x, weight and bias."""
        *_, images, filters, edges = ctx.saved_tensors
        to_output, to_weight, to_input = ctx.algorithm
        *mask, needs_bias = ctx.needs_input_grad
        grad_y = unpooled_like(edges)
        unpool(gradient, edges, Corners.of(grad_y))
        grad_products = _as_images(_apply(to_output.T, grad_y.permute(3, 2, 0, 1)))
        to_images, to_filters = _convolve_backward(grad_products, images, filters, mask)
        return (
            _input_gradient(to_input.T, to_images, ctx.size) if mask[0] else None,
            _apply(to_weight.T, to_filters).permute(1, 3, 2, 0) if mask[1] else None,
            gradient.sum((0, 2, 3)) if needs_bias else None,
        )
