"""The networks of Table 2: a CNN that reads whole house numbers, with transformers anywhere in it.

Section 4.2, Appendix A.5.

Each maps images U (B, C, H, W) to logits (B, heads, classes), one head a digit.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from stn.models.mnist import Localisation, Shape
from stn.transformers import SpatialTransformer, Transform
from stn.transformers.localisation import regression_layer

FILTERS = (48, 64, 128, 160, 192, 192, 192, 192)  # of the convolutions, 5x5 all of them
POOLED = (0, 2, 4, 6)  # convolutions that 2x2 max pooling follows
UNITS = (3072, 3072, 3072)


class HouseNumberCnn(nn.Module):
    """Eight convolutions, three linear layers, a head for each digit; transformers where asked for.

    conv 48 - max - conv 64 - conv 128 - max - conv 160 - conv 192 - max - conv 192 - conv 192 - max
    - conv 192 - linear 3072 - linear 3072 - linear 3072 - heads. Convolutions are 5x5 and padded by
    2, pooling is 2x2, and all is rectified. In the paper half of the units drop out behind all but
    the first. Weights start as of He et al. 2015 (the paper does not say how): torch's own start
    lets the signal of eleven layers fade, and nothing is learned for thousands of steps.

    Args:
        in_shape: (C, H, W) of U.
        num_heads: digits of the longest number.
        num_classes: digits, and one class for "none".
        width: factor of all filters and units; below 1 for processors.
        dropout: share of units of the linear layers that drop out in training.
        conv_dropout: share behind all convolutions but the first; small where filters are few.
        places: convolutions, from 0, that have a transformer before them; none in the plain CNN.
        transform: the family of warps of the transformers.
        localisation: builds the localisation network of each.
        kernel: of the samplers.

    Raises:
        ValueError: the image is too small; or a transformer is placed where no convolution is.
    """

    def __init__(
        self,
        in_shape: Shape,
        num_heads: int,
        num_classes: int,
        width: float = 1.0,
        dropout: float = 0.5,
        conv_dropout: float = 0.5,
        places: Sequence[int] = (),
        transform: Transform | None = None,
        localisation: Localisation | None = None,
        kernel: str = "bilinear",
    ) -> None:
        super().__init__()
        if wrong := sorted(set(places) - set(range(len(FILTERS)))):
            raise ValueError(f"there is no convolution {wrong} to put a transformer before")
        self.num_heads = num_heads
        self.transformers, self.convolutions = nn.ModuleDict(), nn.ModuleList()
        channels, rows, columns = in_shape
        for i, filters in enumerate(FILTERS):
            if i in places:
                if transform is None or localisation is None:
                    raise ValueError("transformers need a transform and a localisation network")
                found = localisation((channels, rows, columns), transform)
                self.transformers[str(i)] = SpatialTransformer(found, transform, kernel=kernel)
            filters = max(1, round(width * filters))
            layers = [nn.Conv2d(channels, filters, 5, padding=2), nn.ReLU()]
            channels = filters
            if i in POOLED:
                layers.append(nn.MaxPool2d(2))
                rows, columns = rows // 2, columns // 2
            if i > 0:
                layers.append(nn.Dropout(conv_dropout))
            self.convolutions.append(nn.Sequential(*layers))
        if min(rows, columns) < 1:
            raise ValueError(f"images of shape {tuple(in_shape)} are too small for four poolings")
        layers, features = [nn.Flatten()], channels * rows * columns
        for units in UNITS:
            units = max(1, round(width * units))
            layers += [nn.Linear(features, units), nn.ReLU(), nn.Dropout(dropout)]
            features = units
        self.linear = nn.Sequential(*layers)
        self.heads = nn.Linear(features, num_heads * num_classes)
        for module in [*self.convolutions.modules(), *self.linear.modules()]:
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.constant_(module.bias, 0.0)  # type: ignore[arg-type]

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits (B, heads, classes) of U."""
        for i, convolution in enumerate(self.convolutions):
            if str(i) in self.transformers:
                U = self.transformers[str(i)](U)
            U = convolution(U)
        return self.heads(self.linear(U)).unflatten(1, (self.num_heads, -1))


class PaddedConvLocalisation(nn.Module):
    """conv 32 - max - conv 32 - linear 32 - linear 32 - regression, convolutions 5x5 padded by 2.

    The localisation network of ST-CNN Single.

    Args:
        in_shape: (C, H, W) of U.
        transform: the family of warps to find the parameters of.
        width: filters and units of each layer.
    """

    def __init__(self, in_shape: Shape, transform: Transform, width: int = 32) -> None:
        super().__init__()
        channels, rows, columns = in_shape
        layers: list[Any] = [
            *(nn.Conv2d(channels, width, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(width, width, 5, padding=2), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(width * (rows // 2) * (columns // 2), width), nn.ReLU()),
            *(nn.Linear(width, width), nn.ReLU()),
        ]
        self.features = nn.Sequential(*layers)
        self.regression = regression_layer(width, transform)

    def forward(self, U: Tensor) -> Tensor:
        """Return theta (B, P) of the images U (B, C, H, W)."""
        return self.regression(self.features(U))
