"""A pass over a finished network: the same modules and parameters, by quicker ways.

Modules change their class and nothing else, as under `torch.nn.utils.parametrize`: their names,
parameters and hooks stay, and so does whatever refers to them. Outputs and gradients are those of
the plain network up to rounding, and to the choice among equal maxima. Where torch records or
transforms a call, and for gradients of gradients, the network goes the plain way.
"""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from stn.fast.convolution import conv, conv_max_pool, has_own_way

# Filters are filled up to a multiple of this, a processor's vector, where it adds little to them.
VECTOR = 16


def accelerate(network: nn.Module) -> nn.Module:
    """Make a network quicker on a processor, in place, where there is a way; return it.

    A convolution of stride 1 without padding, dilation and groups becomes a `FastConv2d`, and a
    sequence where 2x2 max pooling and ReLU, in any order, follow one a `FastSequential`. The rest
    is left alone: other settings, sub-classes, parametrised modules. So is, at each call, what has
    hooks or is not float32 on a processor.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and _is_simple(module):
            module.__class__ = FastConv2d
    for module in network.modules():
        if type(module) is nn.Sequential:
            layers = list(module)
            if any(_is_block(layers[i : i + 3]) for i in range(len(layers))):
                module.__class__ = FastSequential
    return network


class FastConv2d(nn.Conv2d):
    """A convolution by `stn.fast.convolution.conv`."""

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, C, H, W) to (B, K, H - h + 1, W - w + 1)."""
        return conv(x, self.weight, self.bias)


class FastSequential(nn.Sequential):
    """A sequence whose blocks of convolution, 2x2 pooling and ReLU are one layer each.

    Between blocks filters are filled up with zeros to whole vectors of the processor: a pass over
    rows of 46 numbers takes longer than one over 48. No value, gradient or parameter changes.
    """

    def forward(self, x: Any) -> Any:
        """Return what the last layer makes of x."""
        layers: list[Any] = list(self)
        filled = 0  # channels at the end of x are zeros
        while layers:
            if _is_block(layers[:3]) and has_own_way(x, layers[0].weight):
                weight, bias = _filled_up(layers[0], filled)
                x = F.relu(conv_max_pool(x, weight, bias))
                filled = len(weight) - layers[0].out_channels
                del layers[:3]
            else:
                x, filled = layers.pop(0)(x[:, : x.shape[1] - filled] if filled else x), 0
        return x[:, : x.shape[1] - filled] if filled else x


def _is_simple(layer: nn.Conv2d) -> bool:
    """Tell whether a convolution has a bias, stride 1, and no padding, dilation or groups."""
    settings = layer.stride, layer.dilation, layer.groups
    return (
        settings == ((1, 1), (1, 1), 1)
        and layer.padding in ((0, 0), "valid")
        and layer.bias is not None
    )


def _is_block(layers: Sequence[nn.Module]) -> bool:
    """Tell whether layers without hooks are a `FastConv2d`, 2x2 max pooling and a ReLU."""
    kinds = [type(layer) for layer in layers]
    orders = [FastConv2d, nn.MaxPool2d, nn.ReLU], [FastConv2d, nn.ReLU, nn.MaxPool2d]
    if kinds not in orders or any(map(_has_hooks, layers)):
        return False
    pool: Any = layers[kinds.index(nn.MaxPool2d)]
    return (
        pool.kernel_size in (2, (2, 2))
        and pool.stride in (2, (2, 2))
        and pool.padding in (0, (0, 0))
        and pool.dilation in (1, (1, 1))
        and not (pool.ceil_mode or pool.return_indices)
    )


def _has_hooks(layer: nn.Module) -> bool:
    hooks = layer._forward_hooks, layer._forward_pre_hooks
    return any(map(len, (*hooks, layer._backward_hooks, layer._backward_pre_hooks)))


def _filled_up(layer: Any, filled: int) -> tuple[Tensor, Tensor]:
    """Weight and bias with zeros for channels beyond the layer's, and for missing filters."""
    missing = -layer.out_channels % VECTOR
    if 8 * missing > layer.out_channels:
        missing = 0
    if not (missing or filled):
        return layer.weight, layer.bias
    weight = F.pad(layer.weight, (0, 0, 0, 0, 0, filled, 0, missing))
    return weight, F.pad(layer.bias, (0, missing))
