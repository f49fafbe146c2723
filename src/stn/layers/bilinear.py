"""Convolution by a bilinear algorithm along the rows: fewer multiplications, the same outputs.

m outputs of a correlation with k taps are y = A^T [(G w) * (B^T x)] with r < m k products
(Winograd, Toom, Cook, Karatsuba). A and G evaluate polynomials at points; B follows from them.
The columns of an image are transformed, so each of the r products becomes a convolution along the
rows, over all channels at once. Memory is ordered (column, row, image, channel) from the layer's
input to its output, which turns each transform into one matrix product.

Outputs that are equal in exact arithmetic may differ in the last digit here, so that pooling may
take another one of equals than `torch.nn.functional.max_pool2d`: a sub-gradient all the same.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from stn.layers.direct import pooled_like
from stn.layers.pooling import pool_, unpool

# Real points first, in this order; more of them would save products but lose float32 digits.
REAL_POINTS = (0.0, math.inf, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)


class Algorithm(NamedTuple):
    """Matrices of y = A^T [(G w) * (B^T x)] for m outputs, k taps and n = m + k - 1 inputs."""

    to_output: Tensor  # A^T (m, r)
    to_weight: Tensor  # G (r, k)
    to_input: Tensor  # B^T (r, n)


def _points(num: int) -> tuple[tuple[float, ...], list[float]]:
    """Points enough for a product of `num` coefficients: real ones, then angles on the unit circle.

    A point on the upper half of the circle stands for itself and its conjugate.
    """
    num_real = min(len(REAL_POINTS), num)
    num_real -= (num - num_real) % 2
    num_pairs = (num - num_real) // 2
    return REAL_POINTS[:num_real], [math.pi * (i + 1) / (num_pairs + 1) for i in range(num_pairs)]


def _evaluation(num_points: int, length: int) -> Tensor:
    """Evaluate a polynomial of `length` coefficients: one row a real point, three a complex pair.

    Two complex numbers multiply by three real products (Karatsuba): here of their projections on
    three directions 60 degrees apart, so that no direction loses more digits than another.
    """
    power = torch.arange(length, dtype=torch.float64)
    infinity = (power == length - 1).double()
    reals, angles = _points(num_points)
    rows = [infinity if p == math.inf else p**power for p in reals]
    rows += [(a * power - i * math.pi / 3).cos() for a in angles for i in range(3)]
    return torch.stack(rows)


def num_products(num: int) -> int:
    """Count the products r of the algorithm with n = `num` inputs."""
    reals, angles = _points(num)
    return len(reals) + 3 * len(angles)


@lru_cache
def algorithm(num_outputs: int, num_taps: int, dtype: torch.dtype) -> Algorithm:
    """Find the matrices for m outputs and k taps.

    B is what solves sum_r A[r, i] G[r, j] B[l, r] = (1 if i + j = l else 0), in least squares,
    which is exact, and of least norm where points are more than needed.
    """
    num_inputs = num_outputs + num_taps - 1
    a, g = _evaluation(num_inputs, num_outputs), _evaluation(num_inputs, num_taps)
    a, g = a / a.abs().amax(1, keepdim=True), g / g.norm(dim=1, keepdim=True)
    products = torch.einsum("ri,rj->ijr", a, g).flatten(0, 1)
    shift = torch.arange(num_outputs)[:, None] + torch.arange(num_taps)
    wanted = F.one_hot(shift.flatten(), num_inputs).double()
    b = torch.linalg.lstsq(products, wanted, driver="gelsd").solution
    return Algorithm(*(matrix.to(dtype).contiguous() for matrix in (a.T, g, b)))


def _apply(matrix: Tensor, x: Tensor) -> Tensor:
    """Apply a matrix (p, q) to the first axis of x (q, ...)."""
    return (matrix @ x.flatten(1)).unflatten(1, x.shape[1:])


def _columns(x: Tensor, kernel_size: int) -> Tensor:
    """Return the part of x (B, C, H, W) that pooling keeps, as (W, H, B, C)."""
    height, width = ((side - kernel_size + 1) // 2 * 2 + kernel_size - 1 for side in x.shape[2:])
    return x[:, :, :height, :width].permute(3, 2, 0, 1).contiguous()


def _from_columns(columns: Tensor, shape: torch.Size) -> Tensor:
    """View (W, H, B, C) as (B, C, H, W), with zeros where pooling dropped rows or columns."""
    image = columns.permute(2, 3, 1, 0)
    missing = shape[3] - image.shape[3], shape[2] - image.shape[2]
    return F.pad(image, (0, missing[0], 0, missing[1])) if any(missing) else image


def _as_images(x: Tensor) -> Tensor:
    """View (r, H, B, C) as r images (r, 1, C, H, B) with channels last, or filters likewise."""
    return x.unsqueeze(1).permute(0, 1, 4, 2, 3)


def _transform_weight(weight: Tensor, to_weight: Tensor) -> Tensor:
    """Filters (K, C, k, k) to r filters along the rows (r, K, C, k, 1), channels last."""
    return _apply(to_weight, weight.permute(3, 0, 2, 1)).unsqueeze(3).permute(0, 1, 4, 2, 3)


def _convolve(images: Tensor, filters: Tensor) -> Tensor:
    """Convolve r images (r, 1, C, H, B) with r filters (r, K, C, k, 1): (r, H', B, K)."""
    height, batch = images.shape[3] - filters.shape[3] + 1, images.shape[4]
    out = images.new_empty(filters.shape[0], height, batch, filters.shape[1])
    for i, image in enumerate(images):
        out[i] = F.conv2d(image, filters[i])[0].permute(1, 2, 0)
    return out


def _pool(y: Tensor, bias: Tensor, out: Tensor) -> None:
    """Pool y (W', H', B, K) in place, as `pool_` does, and add the bias to what is left."""
    pool_(y.permute(2, 3, 1, 0), out)
    out += bias[:, None, None]


def convolve_and_pool(
    x: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Pooled outputs (B, K, H', W'), and for the backward pass: images, filters and edges."""
    size = weight.shape[-1]
    columns = _columns(x, size)
    matrices = algorithm(columns.shape[0] - size + 1, size, x.dtype)
    images = _as_images(_apply(matrices.to_input, columns))
    filters = _transform_weight(weight, matrices.to_weight)
    y = _apply(matrices.to_output, _convolve(images, filters))
    out = pooled_like(x, *weight.shape[::3])
    _pool(y, bias, out)
    return out, (images, filters, y)


def _convolve_backward(
    gradient: Tensor, images: Tensor, filters: Tensor, needs_images: bool, needs_filters: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of `_convolve`: with respect to images (r, H, B, C), filters (r, K, k, C)."""
    grad_images = torch.empty_like(images[:, 0].permute(0, 2, 3, 1)) if needs_images else None
    grad_filters = torch.empty_like(filters[..., 0].transpose(2, 3)) if needs_filters else None
    settings = [1, 1], [0, 0], [1, 1], False, [0, 0], 1, [needs_images, needs_filters, False]
    for i, g in enumerate(gradient):
        to_image, to_filters, _ = torch.ops.aten.convolution_backward(
            g, images[i], filters[i], None, *settings
        )
        if grad_images is not None:
            grad_images[i] = to_image[0].permute(1, 2, 0)
        if grad_filters is not None:
            grad_filters[i] = to_filters[..., 0].transpose(1, 2)
    return grad_images, grad_filters


class BilinearConvMaxPool(torch.autograd.Function):
    """`conv_max_pool_plain` by the bilinear algorithm, with a gradient by its transpose."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Pooled outputs (B, K, H', W')."""
        out, saved = convolve_and_pool(x, weight, bias)
        ctx.save_for_backward(*saved)
        ctx.shape = x.shape
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Gradients with respect to x, weight and bias."""
        images, filters, edges = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        matrices = algorithm(edges.shape[0], filters.shape[3], edges.dtype)
        grad_y = torch.empty_like(edges)
        unpool(gradient, edges.permute(2, 3, 1, 0), grad_y.permute(2, 3, 1, 0))
        grad_products = _as_images(_apply(matrices.to_output.T, grad_y))
        grad_images, grad_filters = _convolve_backward(
            grad_products, images, filters, needs_x, needs_weight
        )
        grad_x = grad_weight = None
        if grad_images is not None:
            grad_x = _from_columns(_apply(matrices.to_input.T, grad_images), ctx.shape)
        if grad_filters is not None:
            grad_weight = _apply(matrices.to_weight.T, grad_filters).permute(1, 3, 2, 0)
        return grad_x, grad_weight, gradient.sum((0, 2, 3)) if needs_bias else None
