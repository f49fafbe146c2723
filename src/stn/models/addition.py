"""The network of MNIST addition: transformers side by side that each see all (Appendix A.1)."""

import torch
from torch import Tensor, nn

from stn.models.mnist import Fcn, Localisation, Shape, Size, transformer_and_pool
from stn.transformers import FullyConnectedLocalisation, Transform


class ParallelStFcn(nn.Module):
    """Transformers that each warp all channels of the image, and an `Fcn` on all they give.

    Args:
        in_shape: (C, H, W) of U.
        num_classes: number of logits.
        width: units of the classifier's hidden layers.
        num_transformers: how many.
        transform, localisation, output_size, pool, kernel: of each, as of `transformer_and_pool`.

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
        parts = [
            transformer_and_pool(in_shape, transform, localisation, output_size, pool, kernel)
            for _ in range(num_transformers)
        ]
        self.transformers = nn.ModuleList(transformer for transformer, _, _ in parts)
        _, self.pool, (channels, height, image_width) = parts[0]
        self.classifier = Fcn(
            (num_transformers * channels, height, image_width), num_classes, width
        )

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits (B, classes) of images U (B, C, H, W)."""
        V = torch.cat([transformer(U) for transformer in self.transformers], dim=1)
        return self.classifier(self.pool(V))
