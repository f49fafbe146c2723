"""What the quick layers compute, in plain torch, and gradients of their gradients by it."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Backward = Callable[[Any, Tensor], tuple[Tensor | None, Tensor | None, Tensor | None]]


def conv_max_pool_plain(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve without padding at stride 1, then keep the largest of each 2x2 block.

    Args:
        x: images (B, C, H, W).
        weight: filters (K, C, k, k).
        bias: one number a filter (K,).

    Returns:
        (B, K, (H - k + 1) // 2, (W - k + 1) // 2).
    """
    return F.max_pool2d(F.conv2d(x, weight, bias), 2)


def plain_where_differentiated(backward: Backward) -> Backward:
    """Leave a gradient that will be differentiated again to `conv_max_pool_plain`.

    The first three tensors that the function saved must be x, weight and bias. (torch's
    `once_differentiable` returns a constant, in silence, where the gradient that comes in is one.)
    """

    @wraps(backward)
    def either(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        if not torch.is_grad_enabled():
            return backward(ctx, gradient)
        arguments = ctx.saved_tensors[:3]
        wanted = [a for a, needed in zip(arguments, ctx.needs_input_grad, strict=True) if needed]
        out = conv_max_pool_plain(*arguments)
        found = iter(torch.autograd.grad(out, wanted, gradient, create_graph=True))
        x, weight, bias = (next(found) if needed else None for needed in ctx.needs_input_grad)
        return x, weight, bias

    return either
