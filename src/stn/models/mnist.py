"""The networks of Table 1: FCN, CNN, ST-FCN and ST-CNN (Appendix A.4).

Each maps images U (B, C, H, W) to logits (B, num_classes). Widths and parameter counts are
discussed in `docs/deviations.md`.
"""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from stn.transformers import (
    ConvLocalisation,
    FullyConnectedLocalisation,
    SpatialTransformer,
    Transform,
)
from stn.transformers.localisation import Shape

Size = tuple[int, int]
Localisation = Callable[[Shape, Transform], nn.Module]


class Fcn(nn.Module):
    """Fully connected classifier: two hidden layers of `width` units.

    Args:
        in_shape: (C, H, W) of U.
        num_classes: number of logits.
        width: units of each hidden layer.
    """

    def __init__(self, in_shape: Shape, num_classes: int, width: int) -> None:
        super().__init__()
        channels, height, image_width = in_shape
        self.layers = nn.Sequential(
            nn.Flatten(),  # (B, C H W)
            nn.Linear(channels * height * image_width, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, num_classes),
        )

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits of U."""
        return self.layers(U)


class Cnn(nn.Module):
    """Convolutional classifier: conv 9x9 - max 2x2 - conv 7x7 - max 2x2 - linear.

    Convolutions have stride 1 and no padding, and are rectified behind their pooling: the two
    commute.

    Args:
        in_shape: (C, H, W) of U.
        num_classes: number of logits.
        width: filters of each convolution.
        kernel_sizes: sides of the filters, a convolution each, in pixels.

    Raises:
        ValueError: the image is too small for the convolutions.
    """

    def __init__(
        self,
        in_shape: Shape,
        num_classes: int,
        width: int,
        kernel_sizes: Sequence[int] = (9, 7),
    ) -> None:
        super().__init__()
        convolutions, (filters, height, image_width) = _convolutions(in_shape, width, kernel_sizes)
        self.layers = nn.Sequential(
            *convolutions,  # (B, K, H', W')
            nn.Flatten(),  # (B, K H' W')
            nn.Linear(filters * height * image_width, num_classes),
        )

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits of U."""
        return self.layers(U)


class StFcn(nn.Module):
    """A spatial transformer, average pooling, and an `Fcn` of `width` units (Section 4.1).

    Args:
        in_shape: (C, H, W) of U.
        num_classes: number of logits.
        width: units of the classifier's hidden layers.
        transform, localisation, output_size, pool, kernel: as of `transformer_and_pool`.
    """

    def __init__(
        self,
        in_shape: Shape,
        num_classes: int,
        width: int,
        transform: Transform,
        localisation: Localisation = FullyConnectedLocalisation,
        output_size: Size | int | None = None,
        pool: int = 1,
        kernel: str = "bilinear",
    ) -> None:
        super().__init__()
        self.transformer, self.pool, seen = transformer_and_pool(
            in_shape, transform, localisation, output_size, pool, kernel
        )
        self.classifier = Fcn(seen, num_classes, width)

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits of U."""
        V = self.transformer(U)  # (B, C, H', W')
        return self.classifier(self.pool(V))  # (B, num_classes)


class StCnn(nn.Module):
    """A `Cnn` with a spatial transformer in front of it, or behind one of its convolutions.

    Args:
        in_shape: (C, H, W) of U.
        num_classes: number of logits.
        width: filters of each convolution.
        transform, localisation, output_size, pool, kernel: as of `transformer_and_pool`.
        kernel_sizes: sides of the filters, a convolution each, in pixels.
        place: how many of the convolutions, with their pooling, stand before the transformer; 0 for
            the paper's place, where it warps the image.

    Raises:
        ValueError: the place is none of these, or an image is too small for the convolutions.
    """

    def __init__(
        self,
        in_shape: Shape,
        num_classes: int,
        width: int,
        transform: Transform,
        localisation: Localisation = ConvLocalisation,
        output_size: Size | int | None = None,
        pool: int = 1,
        kernel: str = "bilinear",
        kernel_sizes: Sequence[int] = (9, 7),
        place: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= place <= len(kernel_sizes):
            raise ValueError(f"place must be 0 to {len(kernel_sizes)} convolutions, not {place}")
        before, shape = _convolutions(in_shape, width, kernel_sizes[:place])
        self.before = nn.Sequential(*before)
        self.transformer, self.pool, seen = transformer_and_pool(
            shape, transform, localisation, output_size, pool, kernel
        )
        self.classifier = Cnn(seen, num_classes, width, kernel_sizes[place:])

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits of U."""
        x = self.before(U)  # (B, C, H, W)
        V = self.transformer(x)  # (B, C, H', W')
        return self.classifier(self.pool(V))  # (B, num_classes)


def transformer_and_pool(
    in_shape: Shape,
    transform: Transform,
    localisation: Localisation,
    output_size: Size | int | None,
    pool: int,
    kernel: str,
) -> tuple[SpatialTransformer, nn.Module, Shape]:
    """Return a transformer, what pools its output, and the shape (C, H, W) of what that gives.

    Args:
        in_shape: (C, H, W) of what is warped.
        transform: the family of warps.
        localisation: builds the localisation network for (C, H, W) and the transform.
        output_size: (H', W') of the transformer's output, or one number for both; None for that of
            what is warped.
        pool: side of the average pooling behind the transformer; 1 for none.
        kernel: how the transformer interpolates.
    """
    channels, *size = in_shape
    found = localisation(in_shape, transform)
    transformer = SpatialTransformer(found, transform, output_size, kernel)
    height, width = transformer.output_size or size
    pooling = nn.AvgPool2d(pool) if pool > 1 else nn.Identity()
    return transformer, pooling, (channels, height // pool, width // pool)


def _convolutions(
    in_shape: Shape, width: int, kernel_sizes: Sequence[int]
) -> tuple[list[nn.Module], Shape]:
    """Return conv - max 2x2 - ReLU for each kernel size, and the shape of what they give."""
    channels, height, image_width = in_shape
    layers: list[nn.Module] = []
    for side in kernel_sizes:
        layers += [nn.Conv2d(channels, width, side), nn.MaxPool2d(2), nn.ReLU()]
        channels, height, image_width = (
            width,
            (height - side + 1) // 2,
            (image_width - side + 1) // 2,
        )
    if height < 1 or image_width < 1:
        raise ValueError(
            f"{(*in_shape,)} is too small for convolutions of {(*kernel_sizes,)} pixels"
        )
    return layers, (channels, height, image_width)
