"""Layers with a fast path for the processor; torch only."""

from stn.fast.convolution import (
    Conv,
    ConvMaxPool,
    ConvMaxPoolStack,
    conv,
    conv_max_pool,
    conv_max_pool_plain,
)

__all__ = [
    "Conv",
    "ConvMaxPool",
    "ConvMaxPoolStack",
    "conv",
    "conv_max_pool",
    "conv_max_pool_plain",
]
