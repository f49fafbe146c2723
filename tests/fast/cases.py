"""Convolutions of Table 1's networks, and of shapes that may go wrong."""

import torch
from torch import Tensor

# x (B, C, H, W) and weight (K, C, k, k): the networks of Table 1, odd sizes, batch 1, even kernels.
SHAPES = [
    ((6, 1, 28, 28), (16, 1, 9, 9)),
    ((50, 1, 23, 21), (4, 1, 9, 9)),
    ((48, 12, 10, 10), (9, 12, 7, 7)),
    ((2, 10, 17, 14), (7, 10, 7, 7)),
    ((5, 1, 14, 14), (20, 1, 5, 5)),
    ((1, 3, 12, 11), (5, 3, 4, 4)),
    ((2, 2, 4, 9), (3, 2, 3, 3)),
    ((2, 4, 3, 2), (3, 4, 1, 1)),
]


def arguments(
    image: tuple[int, ...], weight: tuple[int, ...], dtype: torch.dtype = torch.float64
) -> list[Tensor]:
    """Random x, weight and bias that want a gradient."""
    torch.manual_seed(0)
    shapes = (image, weight, weight[:1])
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]
