"""A CNN beside an ST-CNN, of whose warps its training images are made: the study `adversarial`."""

from torch import Tensor, nn

from stn.models.mnist import Cnn, Localisation, Shape, StCnn
from stn.transformers import Transform


class TaughtCnn(nn.Module):
    """A `Cnn`, and an `StCnn` that only its training needs (`stn.tasks.poses.TaughtCrossEntropy`).

    Args:
        in_shape: (C, H, W) of U.
        num_classes: number of logits.
        width: filters of each convolution, of both.
        transform, localisation: of the `StCnn`.
    """

    def __init__(
        self,
        in_shape: Shape,
        num_classes: int,
        width: int,
        transform: Transform,
        localisation: Localisation,
    ) -> None:
        super().__init__()
        self.classifier = Cnn(in_shape, num_classes, width)
        self.teacher = StCnn(in_shape, num_classes, width, transform, localisation)

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits of U (B, C, H, W), those of the `Cnn`."""
        return self.classifier(U)
