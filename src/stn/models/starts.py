"""What a transformer is better started without: for the study of stability (`conf/study`)."""

from collections.abc import Sequence

from torch import Tensor

from stn.models.mnist import Shape, StFcn
from stn.transformers import FullyConnectedLocalisation, Transform

MEAN, SD = 0.1307, 0.3081  # of MNIST's pixels, as the tutorial that everybody copies has them


class RandomStart(FullyConnectedLocalisation):
    """A localisation network whose regression layer starts as torch starts a linear layer.

    Instead of the identity, training starts with theta near 0.
    """

    def __init__(
        self, in_shape: Shape, transform: Transform, hidden: Sequence[int] = (32, 32, 32)
    ) -> None:
        super().__init__(in_shape, transform, hidden)
        self.regression.reset_parameters()


class NormalisedStFcn(StFcn):
    """An `StFcn` whose images are normalised first: the background is -0.42, and outside is 0."""

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits of U (B, C, H, W)."""
        return super().forward((U - MEAN) / SD)
