"""Convolution followed by 2x2 max pooling, the pair every MNIST network of the paper is made of."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stn.layers.bilinear import BilinearConvMaxPool
from stn.layers.direct import FEW_CHANNELS, DirectConvMaxPool
from stn.layers.toom_cook import num_products

# A transform of the bilinear algorithm moves memory: its multiplications take this many times
# as long as those of a convolution over many channels.
TRANSFORM_COST = 4
# Below this many images a product is too small to gain what its call costs.
LARGE_BATCH = 48
# Pooling of its own passes over rows of this many numbers and more faster than the library's.
MANY_FILTERS = 48


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


def conv_max_pool(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Same function as `conv_max_pool_plain`, by the cheapest way for the shape and device.

    On a processor in float32 there are two ways of its own, each with a hand-written gradient
    (which cannot be differentiated again). `bilinear_is_cheaper` chooses the one by counting. The
    direct one is for inputs of few channels whose gradient is wanted, and for large batches with
    many filters. The memory of its result is ordered (W', H', B, K), as the next layer needs it.
    """
    large = x.shape[0] >= LARGE_BATCH
    slow_gradient = x.requires_grad and x.shape[1] < FEW_CHANNELS
    many = large and weight.shape[0] >= MANY_FILTERS
    if not (large or slow_gradient) or not _has_own_way(x, weight):
        return conv_max_pool_plain(x, weight, bias)
    if large and bilinear_is_cheaper(x.shape, weight.shape):
        return BilinearConvMaxPool.apply(x, weight, bias)
    if slow_gradient or many:
        return DirectConvMaxPool.apply(x, weight, bias)
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


def _has_own_way(x: Tensor, weight: Tensor) -> bool:
    """Whether x is a batch for the processor in float32, and not an empty one."""
    return (
        x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.ndim == 4
        and weight.shape[2] == weight.shape[3] < min(x.shape[2:])
        and torch.backends.mkldnn.is_available()
        and not torch.is_autocast_enabled("cpu")
    )


class ConvMaxPool(nn.Conv2d):
    """Convolution (stride 1, no padding) and 2x2 max pooling as one layer.

    Parameters have the names, shapes and initial values of `torch.nn.Conv2d`.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, H, W) to (B, K, (H - k + 1) // 2, (W - k + 1) // 2)."""
        assert self.bias is not None
        return conv_max_pool(x, self.weight, self.bias)
