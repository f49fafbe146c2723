"""The four networks of Table 1: FCN, CNN, ST-FCN and ST-CNN (Appendix A.4).

Each classifier has three weight layers. A spatial transformer, where there is one, is the first
layer. The paper gives all models of a column the same number of parameters: `matched` finds the
width that does so. Widths and counts are discussed in `docs/deviations.md`.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from stn.fast import ConvMaxPool, ConvMaxPoolStack
from stn.transformers import (
    ConvLocalisation,
    FullyConnectedLocalisation,
    SpatialTransformer,
    Transform,
)

Size = tuple[int, int]
MAX_WIDTH = 4096


class Fcn(nn.Module):
    """Fully connected classifier: two hidden layers of `width` units (Appendix A.4).

    Maps images of shape (B, C, H, W) to logits of shape (B, num_classes).
    """

    def __init__(
        self, image_size: Size, width: int, in_channels: int = 1, num_classes: int = 10
    ) -> None:
        super().__init__()
        height, image_width = image_size
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(in_channels * height * image_width, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, num_classes),
        )

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits of U."""
        return self.layers(U)


class Cnn(nn.Module):
    """Convolutional classifier: conv 9x9 - max 2x2 - conv 7x7 - max 2x2 - linear (Appendix A.4).

    Convolutions have `width` filters, stride 1 and no padding. Pooling stands before the ReLU: the
    two commute, and a quarter of the values is cheaper to rectify.

    Maps images of shape (B, C, H, W) to logits of shape (B, num_classes).

    Raises:
        ValueError: the image is too small for the two convolutions.
    """

    def __init__(
        self, image_size: Size, width: int, in_channels: int = 1, num_classes: int = 10
    ) -> None:
        super().__init__()
        height, image_width = ((side - 8) // 2 for side in image_size)
        height, image_width = ((side - 6) // 2 for side in (height, image_width))
        if height < 1 or image_width < 1:
            raise ValueError(f"the CNN needs images of at least 24x24 pixels, not {image_size}")
        self.layers = nn.Sequential(
            ConvMaxPoolStack(
                ConvMaxPool(in_channels, width, kernel_size=9),
                ConvMaxPool(width, width, kernel_size=7),
            ),
            nn.Flatten(),
            nn.Linear(width * height * image_width, num_classes),
        )

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits of U."""
        return self.layers(U)


class Transformed(nn.Module):
    """A spatial transformer, average pooling, and a classifier, in this order (Section 4.1).

    Args:
        transformer: the first layer.
        pool: side of the average pooling; 1 for none.
        classifier: maps the pooled output to logits.
    """

    def __init__(self, transformer: SpatialTransformer, pool: int, classifier: nn.Module) -> None:
        super().__init__()
        self.transformer = transformer
        self.pool = nn.AvgPool2d(pool) if pool > 1 else nn.Identity()
        self.classifier = classifier

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits of U, (B, C, H, W) -> (B, num_classes)."""
        return self.classifier(self.pool(self.transformer(U)))


class StFcn(Transformed):
    """A spatial transformer with a fully connected localisation network before an `Fcn`.

    Args:
        image_size: (H, W) of the input.
        width: units of the classifier's hidden layers.
        transform: the family of warps.
        output_size: (H, W) of the transformer's output.
        pool: side of the average pooling between transformer and classifier; 1 for none.
        in_channels: C of the input.
        num_classes: number of logits.
    """

    def __init__(
        self,
        image_size: Size,
        width: int,
        transform: Transform,
        output_size: Size,
        pool: int = 1,
        in_channels: int = 1,
        num_classes: int = 10,
    ) -> None:
        localisation = FullyConnectedLocalisation((in_channels, *image_size), transform)
        transformer = SpatialTransformer(localisation, transform, output_size)
        classifier = Fcn(_pooled(output_size, pool), width, in_channels, num_classes)
        super().__init__(transformer, pool, classifier)


class StCnn(Transformed):
    """A spatial transformer with a convolutional localisation network before a `Cnn`.

    The arguments are those of `StFcn`, `width` being the filters of the convolutions.
    """

    def __init__(
        self,
        image_size: Size,
        width: int,
        transform: Transform,
        output_size: Size,
        pool: int = 1,
        in_channels: int = 1,
        num_classes: int = 10,
    ) -> None:
        localisation = ConvLocalisation((in_channels, *image_size), transform)
        transformer = SpatialTransformer(localisation, transform, output_size)
        classifier = Cnn(_pooled(output_size, pool), width, in_channels, num_classes)
        super().__init__(transformer, pool, classifier)


def matched(
    build: Callable[..., nn.Module], num_params: int, width: int | None = None
) -> nn.Module:
    """Build a network whose parameter count is as near to `num_params` as its width allows.

    Args:
        build: called with `width`; a larger width must give more parameters.
        num_params: the budget, the same for all models of a column of Table 1.
        width: use this width instead, whatever the budget.

    Raises:
        ValueError: even a width of 1 has more than the budget.
    """
    return build(width=width if width is not None else _width_matching(build, num_params))


def num_parameters(network: nn.Module) -> int:
    """Count the trainable parameters of a network."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def _width_matching(build: Callable[..., nn.Module], num_params: int) -> int:
    """Bisect for the width whose count is nearest to `num_params`."""

    def count(width: int) -> int:
        with torch.device("meta"):
            return num_parameters(build(width=width))

    if count(1) > num_params:
        raise ValueError(
            f"a budget of {num_params} parameters is too small: width 1 already has {count(1)}"
        )
    low, high = 1, MAX_WIDTH
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= num_params else (low, middle)
    return min((low, high), key=lambda width: abs(count(width) - num_params))


def _pooled(size: Size, pool: int) -> Size:
    return size[0] // pool, size[1] // pool
