"""Localisation networks f_loc (Section 3.1): from an image U to the parameters theta of its warp.

Any network may take their place that ends in a regression layer.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from stn.transformers.checks import whole_numbers
from stn.transformers.eager import full_precision
from stn.transformers.transforms import Transform, checked_transform

Shape = tuple[int, int, int]


class Regression(nn.Linear):
    """A linear layer that works at its own precision: three digits do not make a coordinate."""

    def forward(self, features: Tensor) -> Tensor:
        """Return theta (B, P) of features (B, F), also under autocast."""
        with full_precision(features.device):
            return super().forward(features.to(self.weight.dtype))


def regression_layer(in_features: int, transform: Transform) -> nn.Linear:
    """Return the last layer of a localisation network: zero weights, and the identity as bias.

    A transformer therefore starts by changing nothing (Appendix A). Under autocast it keeps all
    digits of theta.
    """
    transform = checked_transform(transform)
    layer = Regression(in_features, transform.num_params)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(transform.identity())
    return layer


class FullyConnectedLocalisation(nn.Module):
    """Fully connected layers with ReLU, then the regression layer (Appendix A.4, ST-FCN).

    Args:
        in_shape: (C, H, W) of U.
        transform: the family of warps to find the parameters of.
        hidden: units of each hidden layer.
    """

    def __init__(
        self, in_shape: Shape, transform: Transform, hidden: Sequence[int] = (32, 32, 32)
    ) -> None:
        super().__init__()
        self.in_shape = whole_numbers("in_shape", "(C, H, W)", in_shape)
        channels, height, width = self.in_shape
        widths = [channels * height * width, *hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.regression = regression_layer(widths[-1], transform)

    def forward(self, U: Tensor) -> Tensor:
        """Return theta (B, P) of the images U (B, C, H, W)."""
        _check_image(U, self.in_shape)
        return self.regression(self.features(U))


class ConvLocalisation(nn.Module):
    """Two convolutions on a downsampled image, then two linear layers (Appendix A.4, ST-CNN).

    U downsampled - conv - max 2x2 - ReLU - conv - ReLU - linear - ReLU - regression. Convolutions
    have stride 1 and no padding. The first is rectified behind its pooling: the two commute.

    Differs from the paper: how U is downsampled is not said; here, the average of each block.

    Args:
        in_shape: (C, H, W) of U.
        transform: the family of warps to find the parameters of.
        filters: number of filters of each convolution.
        kernel_size: side of the filters, in pixels.
        hidden: units of the hidden linear layer.
        downsample: side of the blocks that are averaged, in pixels; 1 for none.

    Raises:
        ValueError: the image is too small for the two convolutions.
    """

    def __init__(
        self,
        in_shape: Shape,
        transform: Transform,
        filters: int = 20,
        kernel_size: int = 5,
        hidden: int = 20,
        downsample: int = 2,
    ) -> None:
        super().__init__()
        self.in_shape = whole_numbers("in_shape", "(C, H, W)", in_shape)
        channels, *sides = self.in_shape
        reduced = [(n // downsample - kernel_size + 1) // 2 - kernel_size + 1 for n in sides]
        if min(reduced) < 1:
            raise ValueError(
                f"images of shape {self.in_shape} are too small for two {kernel_size}x{kernel_size}"
                f" convolutions after downsampling by {downsample}"
            )
        self.features = nn.Sequential(
            nn.AvgPool2d(downsample) if downsample > 1 else nn.Identity(),
            nn.Conv2d(channels, filters, kernel_size),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Conv2d(filters, filters, kernel_size),  # (B, filters, *reduced)
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(filters * reduced[0] * reduced[1], hidden),
            nn.ReLU(),
        )
        self.regression = regression_layer(hidden, transform)

    def forward(self, U: Tensor) -> Tensor:
        """Return theta (B, P) of the images U (B, C, H, W)."""
        _check_image(U, self.in_shape)
        return self.regression(self.features(U))


def _check_image(U: Tensor, in_shape: tuple[int, ...]) -> None:
    if U.ndim != 4 or tuple(U.shape[1:]) != in_shape:
        wanted = ", ".join(map(str, in_shape))
        raise ValueError(f"localisation needs U of shape (B, {wanted}), got {tuple(U.shape)}")


def of_localisation(name: str) -> bool:
    """Tell by a parameter's name in its network whether it is one of a localisation network."""
    return "localisation" in name.split(".")
