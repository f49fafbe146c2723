"""Networks for digits in volumes (Appendix A.3): a volume is warped, and looked at as an image.

Each maps volumes U (B, C, D, H, W) to logits (B, num_classes). The paper says that the output of a
transformer of volumes is flattened over its depth and then classified; the networks are open.
"""

from collections.abc import Callable

from torch import Tensor, nn

from stn.models.mnist import Cnn
from stn.transformers import SpatialTransformer, Transform, regression_layer
from stn.transformers.checks import whole_numbers

Shape = tuple[int, int, int, int]
Size = tuple[int, int, int]


class Features3d(nn.Module):
    """Volumes to features: (average of blocks) - conv, stride 2 - conv - max 2 - flat.

    Convolutions have no padding and are rectified, the second behind its pooling.

    Args:
        in_shape: (C, D, H, W) of U.
        filters: of each convolution.
        kernel_size: side of the filters, in voxels.
        downsample: side of the blocks of voxels that are averaged first; 1 for none.

    Raises:
        ValueError: the volume is none, or too small for the convolutions; U is of another shape.
    """

    def __init__(self, in_shape: Shape, filters: int, kernel_size: int, downsample: int) -> None:
        super().__init__()
        self.in_shape = whole_numbers("in_shape", "(C, D, H, W)", in_shape)
        channels, *sides = self.in_shape
        strided = [(side // downsample - kernel_size) // 2 + 1 for side in sides]
        depth, height, width = ((side - kernel_size + 1) // 2 for side in strided)
        if min(depth, height, width) < 1:
            raise ValueError(
                f"volumes of shape {self.in_shape} are too small for two convolutions of"
                f" {kernel_size} voxels after downsampling by {downsample}"
            )
        self.num_features = filters * depth * height * width
        self.layers = nn.Sequential(
            nn.AvgPool3d(downsample) if downsample > 1 else nn.Identity(),
            nn.Conv3d(channels, filters, kernel_size, stride=2),
            nn.ReLU(),
            nn.Conv3d(filters, filters, kernel_size),
            nn.MaxPool3d(2),
            nn.ReLU(),
            nn.Flatten(),
        )

    def forward(self, U: Tensor) -> Tensor:
        """Return the features (B, F) of U."""
        _check_volume(U, self.in_shape)
        return self.layers(U)


class Localisation3d(nn.Module):
    """Features of the volume, a linear layer of `hidden` units, then the regression layer.

    Args:
        in_shape: (C, D, H, W) of U.
        transform: the family of warps to find the parameters of.
        filters, kernel_size, downsample: as of `Features3d`.
        hidden: units of the hidden linear layer.

    Raises:
        ValueError: as of `Features3d`.
    """

    def __init__(
        self,
        in_shape: Shape,
        transform: Transform,
        filters: int,
        kernel_size: int,
        hidden: int,
        downsample: int,
    ) -> None:
        super().__init__()
        self.features = Features3d(in_shape, filters, kernel_size, downsample)
        self.hidden = nn.Sequential(nn.Linear(self.features.num_features, hidden), nn.ReLU())
        self.regression = regression_layer(hidden, transform)

    def forward(self, U: Tensor) -> Tensor:
        """Return theta (B, P) of U."""
        return self.regression(self.hidden(self.features(U)))


class Cnn3d(nn.Module):
    """Convolutions over the volume itself: the features of `Features3d`, and a linear layer.

    Args:
        in_shape: (C, D, H, W) of U.
        num_classes: number of logits.
        width: filters of each convolution.
        kernel_size, downsample: as of `Features3d`.

    Raises:
        ValueError: as of `Features3d`.
    """

    def __init__(
        self, in_shape: Shape, num_classes: int, width: int, kernel_size: int, downsample: int
    ) -> None:
        super().__init__()
        self.features = Features3d(in_shape, width, kernel_size, downsample)
        self.classifier = nn.Linear(self.features.num_features, num_classes)

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits of U."""
        return self.classifier(self.features(U))


class ProjectionCnn(nn.Module):
    """A `Cnn` on the volume as it is, summed over its depth.

    Args:
        in_shape: (C, D, H, W) of U.
        num_classes: number of logits.
        width: filters of each convolution.
        thickness: sum that is a brightness of 1 in the image: that of a digit that stands upright
            is then as it was.

    Raises:
        ValueError: the volume is none, or too small; U is of another shape.
    """

    def __init__(self, in_shape: Shape, num_classes: int, width: int, thickness: float) -> None:
        super().__init__()
        self.in_shape = whole_numbers("in_shape", "(C, D, H, W)", in_shape)
        channels, _, height, image_width = self.in_shape
        self.thickness = thickness
        self.classifier = Cnn((channels, height, image_width), num_classes, width)

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits of U."""
        _check_volume(U, self.in_shape)
        return self.classifier(U.sum(dim=2) / self.thickness)


class StProjectionCnn(nn.Module):
    """A spatial transformer of volumes, whose output, summed over its depth, a `Cnn` looks at.

    Args:
        in_shape: (C, D, H, W) of U.
        num_classes: number of logits.
        width: filters of each convolution of the classifier.
        thickness: as of `ProjectionCnn`.
        transform: the family of warps, of volumes.
        localisation: builds the localisation network for (C, D, H, W) and the transform.
        output_size: (D', H', W') of the transformer's output; None for that of U.
        kernel: how the transformer interpolates.

    Raises:
        ValueError: the volume is none, or too small; U is of another shape.
    """

    def __init__(
        self,
        in_shape: Shape,
        num_classes: int,
        width: int,
        thickness: float,
        transform: Transform,
        localisation: Callable[[Shape, Transform], nn.Module],
        output_size: Size | None = None,
        kernel: str = "bilinear",
    ) -> None:
        super().__init__()
        channels, *size = whole_numbers("in_shape", "(C, D, H, W)", in_shape)
        self.transformer = SpatialTransformer(
            localisation(in_shape, transform), transform, output_size, kernel
        )
        _, height, image_width = self.transformer.output_size or size
        self.thickness = thickness
        self.classifier = Cnn((channels, height, image_width), num_classes, width)

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits of U."""
        V = self.transformer(U)  # (B, C, D', H', W')
        return self.classifier(V.sum(dim=2) / self.thickness)


def _check_volume(U: Tensor, in_shape: tuple[int, ...]) -> None:
    if U.ndim != 5 or tuple(U.shape[1:]) != in_shape:
        wanted = ", ".join(map(str, in_shape))
        raise ValueError(f"volumes of shape (B, {wanted}) are wanted, got {tuple(U.shape)}")
