"""Convolution alone and before 2x2 max pooling, by the cheapest way for the shapes."""

import torch
import torch.nn.functional as F
from torch import Tensor

from stn.fast.bilinear import BilinearConvMaxPool
from stn.fast.direct import FEW_CHANNELS, DirectConvMaxPool
from stn.fast.plain import conv_max_pool_plain
from stn.fast.toom_cook import num_products
from stn.fast.windows import WindowsConvMaxPool
from stn.transformers.eager import is_eager

# A transform of the bilinear algorithm moves memory: its multiplications take this many times
# as long as those of a convolution over many channels.
TRANSFORM_COST = 4
# Below this many images a product is too small to gain what its call costs.
LARGE_BATCH = 48
# Pooling of its own passes over rows of this many numbers and more faster than the library's.
MANY_FILTERS = 48
# Products over windows gain for windows of up to this many numbers.
SMALL_WINDOW = 100


def conv_max_pool(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Same function as `conv_max_pool_plain`, by the cheapest way for the shape and device.

    On a processor in float32 there are three ways of its own, each with a hand-written gradient
    (differentiated again, it is the plain one). `bilinear_is_cheaper` chooses the first by
    counting. The direct one is for inputs of few channels whose gradient is wanted, and for large
    batches with many filters; windows are for large batches with few filters. The first two order
    the memory of their result as (W', H', B, K), the last as (K, H', W', B): as the next layer
    needs it.
    """
    if not has_own_way(x, weight):
        return conv_max_pool_plain(x, weight, bias)
    large = x.shape[0] >= LARGE_BATCH
    slow_gradient = x.requires_grad and x.shape[1] < FEW_CHANNELS
    if not (large or slow_gradient):
        return conv_max_pool_plain(x, weight, bias)
    if large and bilinear_is_cheaper(x.shape, weight.shape):
        return BilinearConvMaxPool.apply(x, weight, bias)
    if slow_gradient or weight.shape[0] >= MANY_FILTERS:
        return DirectConvMaxPool.apply(x, weight, bias)
    if weight[0].numel() <= SMALL_WINDOW and not x.requires_grad:
        return WindowsConvMaxPool.apply(x, weight, bias)
    return conv_max_pool_plain(x, weight, bias)


def bilinear_is_cheaper(image: torch.Size, weight: torch.Size) -> bool:
    """Compare the multiplications of both ways for one image, transforms at TRANSFORM_COST."""
    (_, _, height, width), (filters, channels, size, _) = image, weight
    rows, columns = (height - size + 1) // 2 * 2, (width - size + 1) // 2 * 2
    products = num_products(columns + size - 1)
    to_products = products * (columns + size - 1) * (rows + size - 1) * channels
    from_products = products * columns * rows * filters
    bilinear = products * rows * size * filters * channels
    direct = columns * size * rows * size * filters * channels
    return bilinear + TRANSFORM_COST * (to_products + from_products) < direct


def has_own_way(x: Tensor, weight: Tensor) -> bool:
    """Tell whether x is a batch for the processor in float32, larger than the square filters."""
    return _is_ours(x, weight) and weight.shape[2] == weight.shape[3] < min(x.shape[2:])


def _is_ours(x: Tensor, weight: Tensor) -> bool:
    return (
        is_eager(x, weight)
        and x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.ndim == 4
        and len(x) > 0
        and torch.backends.mkldnn.is_available()
        and not torch.is_autocast_enabled("cpu")
    )


def conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Convolve without padding at stride 1; filters as large as the image are a linear layer.

    Args:
        x: images (B, C, H, W).
        weight: filters (K, C, h, w).
        bias: one number a filter (K,).

    Returns:
        (B, K, H - h + 1, W - w + 1).
    """
    if _is_ours(x, weight) and x.shape[1:] == weight.shape[1:]:
        return F.linear(x.flatten(1), weight.flatten(1), bias)[:, :, None, None]
    if has_own_way(x, weight):
        x = x.contiguous(memory_format=torch.channels_last)
    return F.conv2d(x, weight, bias)
