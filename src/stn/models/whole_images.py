"""A network for birds whose transformer starts with the whole image: what is there to undo?"""

from collections.abc import Callable

from torch import Tensor, nn

from stn.models.backbones import Backbone
from stn.models.cub import CubCnn, PartsLocalisation
from stn.transformers import SpatialTransformer, Transform
from stn.transformers.localisation import regression_layer


class WholeStCnn(nn.Module):
    """A `CubCnn` behind one transformer, which starts at the identity.

    Not of the paper, whose transformers of birds cut out parts; its authors expect that this one
    learns the identity. The localisation network is that of `CubStCnn`.

    Args:
        backbone: builds a backbone, for the localisation network and for the classifier.
        num_classes: logits.
        in_size: (H, W) of the images.
        transform: the family of warps.
        dropout: share of the features that drop out in training.
    """

    def __init__(
        self,
        backbone: Callable[[], Backbone],
        num_classes: int,
        in_size: tuple[int, int],
        transform: Transform,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        seen = PartsLocalisation(backbone, (in_size[0], in_size[1]), max(in_size))
        localisation = nn.Sequential(seen, regression_layer(128, transform))
        self.transformer = SpatialTransformer(localisation, transform)
        self.classifier = CubCnn(backbone, num_classes, dropout)

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits (B, classes) of images (B, 3, H, W) in [0, 1]."""
        return self.classifier(self.transformer(U))
