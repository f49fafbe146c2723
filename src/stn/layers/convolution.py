"""Convolution followed by 2x2 max pooling, the pair every MNIST network of the paper is made of."""

import torch.nn.functional as F
from torch import Tensor, nn


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
    """Same function as `conv_max_pool_plain`, by the cheapest way for the shape and device."""
    return conv_max_pool_plain(x, weight, bias)


class ConvMaxPool(nn.Conv2d):
    """Convolution (stride 1, no padding) and 2x2 max pooling as one layer.

    Parameters have the names, shapes and initial values of `torch.nn.Conv2d`.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        assert self.bias is not None
        return conv_max_pool(x, self.weight, self.bias)
