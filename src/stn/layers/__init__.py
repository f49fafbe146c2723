"""Layers with a fast path for the processor; torch only."""

from stn.layers.convolution import ConvMaxPool, conv_max_pool, conv_max_pool_plain

__all__ = ["ConvMaxPool", "conv_max_pool", "conv_max_pool_plain"]
