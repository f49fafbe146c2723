"""The network of MNIST addition: transformers side by side that each see all (Appendix A.1)."""

import torch
from torch import Tensor, nn

from stn.models.mnist import Fcn, Localisation, Shape, Size
from stn.transformers import FullyConnectedLocalisation, SpatialTransformer, Transform


class ParallelStFcn(nn.Module):
    """Transformers that each warp all channels of the image, and an `Fcn` on all they give.

    Args:
        in_shape: (C, H, W) of U.
        num_classes: number of logits.
        width: units of the classifier's hidden layers.
        transform: the family of warps of each.
        num_transformers: how many.
        localisation: builds the localisation network of each.
        output_size: (H', W') of their outputs, or one number for both; None for that of U.
        pool: side of the average pooling behind them; 1 for none.
        kernel: how they interpolate.

    Raises:
        ValueError: there is no transformer.
    """

    def __init__(
        self,
        in_shape: Shape,
        num_classes: int,
        width: int,
        transform: Transform,
        num_transformers: int = 2,
        localisation: Localisation = FullyConnectedLocalisation,
        output_size: Size | int | None = None,
        pool: int = 1,
        kernel: str = "bilinear",
    ) -> None:
        super().__init__()
        if num_transformers < 1:
            raise ValueError(f"num_transformers must be positive, not {num_transformers}")
        channels, *size = in_shape
        transformers = [
            SpatialTransformer(localisation(in_shape, transform), transform, output_size, kernel)
            for _ in range(num_transformers)
        ]
        self.transformers = nn.ModuleList(transformers)
        height, image_width = transformers[0].output_size or size
        self.pool = nn.AvgPool2d(pool) if pool > 1 else nn.Identity()
        seen = (num_transformers * channels, height // pool, image_width // pool)
        self.classifier = Fcn(seen, num_classes, width)

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits (B, classes) of images U (B, C, H, W)."""
        V = torch.cat([transformer(U) for transformer in self.transformers], dim=1)
        return self.classifier(self.pool(V))
