"""The networks of Table 3: a backbone on the whole bird, or on the parts that transformers choose.

Section 4.3, Appendix A.6.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stn.models.backbones import Backbone
from stn.transformers import Affine, Attention, SpatialTransformer, Transform, Translation
from stn.transformers.localisation import regression_layer

SCALE = 0.5  # of a crop, in the paper fixed


class CubCnn(nn.Module):
    """A backbone and a linear classifier.

    Args:
        backbone: builds the backbone.
        num_classes: logits.
        dropout: share of the features that drop out in training.
    """

    def __init__(
        self, backbone: Callable[[], Backbone], num_classes: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.stream = backbone()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.stream.channels, num_classes)

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits (B, classes) of images (B, 3, H, W) in [0, 1]."""
        return self.classifier(self.dropout(self.stream(U)))


class PartsLocalisation(nn.Module):
    """What the transformers share: backbone without its pool - conv 1x1 to 128 - linear 128.

    Images are halved first as often as it takes to be no larger than `side`.
    """

    def __init__(
        self, backbone: Callable[[], Backbone], in_size: tuple[int, int], side: int
    ) -> None:
        super().__init__()
        self.factor = math.ceil(max(in_size) / side)
        self.backbone = backbone()
        self.narrow = nn.Conv2d(self.backbone.channels, 128, 1)
        with torch.no_grad():
            small = torch.zeros(1, 3, in_size[0] // self.factor, in_size[1] // self.factor)
            cells = self.backbone.eval().features(small).shape[2:].numel()
        self.backbone.train()
        self.linear = nn.Linear(128 * cells, 128)

    def forward(self, U: Tensor) -> Tensor:
        """Return features (B, 128) of images (B, 3, H, W)."""
        small = F.avg_pool2d(U, self.factor) if self.factor > 1 else U
        narrow = F.relu(self.narrow(self.backbone.features(small)))
        return F.relu(self.linear(narrow.flatten(1)))


class CubStCnn(nn.Module):
    """Parallel transformers, each with a stream of its own, and one classifier of all features.

    The transformers share one localisation network but for their last layers, which start so that
    their crops tile the image: left and right halves, or quadrants.

    Args:
        backbone: builds a backbone, for the localisation network and for each stream.
        num_classes: logits.
        in_size: (H, W) of the images.
        num_transformers: 2 or 4.
        crop: side of what each transformer cuts out, in pixels.
        transform: `Translation(zoom=0.5)` in the paper. `Attention` and `Affine` start there, and
            are free to scale; the paper's text says that they over-fit.
        dropout: share of the features that drop out in training.
        shared_streams: one backbone for all crops. Not of the paper.

    Raises:
        ValueError: another number of transformers, or another transform.
    """

    def __init__(
        self,
        backbone: Callable[[], Backbone],
        num_classes: int,
        in_size: tuple[int, int],
        num_transformers: int,
        crop: int,
        transform: Transform,
        dropout: float = 0.7,
        shared_streams: bool = False,
    ) -> None:
        super().__init__()
        self.localisation = PartsLocalisation(backbone, (in_size[0], in_size[1]), crop)
        self.transformers = nn.ModuleList()
        for place in _tiles(num_transformers):
            head = regression_layer(128, transform)
            head.bias.data.copy_(_start(transform, place))
            self.transformers.append(SpatialTransformer(head, transform, crop))
        streams = [backbone() for _ in range(1 if shared_streams else num_transformers)]
        self.streams = nn.ModuleList(streams)
        self.dropout = nn.Dropout(dropout)
        features = num_transformers * streams[0].channels
        self.classifier = nn.Linear(features, num_classes)

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits (B, classes) of images (B, 3, H, W) in [0, 1]."""
        seen = self.localisation(U)
        crops = [transformer(U, seen) for transformer in self.transformers]
        if len(self.streams) == 1:
            features = self.streams[0](torch.cat(crops)).chunk(len(crops))
        else:
            features = [stream(V) for stream, V in zip(self.streams, crops, strict=True)]
        return self.classifier(self.dropout(torch.cat([*features], dim=1)))


def _tiles(number: int) -> list[tuple[float, float]]:
    """Return the centres of the crops at the start."""
    if number == 2:
        return [(-SCALE, 0.0), (SCALE, 0.0)]
    if number == 4:
        return [(x, y) for y in (-SCALE, SCALE) for x in (-SCALE, SCALE)]
    raise ValueError(f"2 or 4 transformers tile an image, not {number}")


def _start(transform: Transform, centre: tuple[float, float]) -> Tensor:
    """Return theta of a crop of half the image's size at a place."""
    x, y = centre
    match transform:
        case Translation(zoom=zoom) if zoom == SCALE:
            return torch.tensor([x, y])
        case Attention():
            return torch.tensor([SCALE, x, y])
        case Affine():
            return torch.tensor([SCALE, 0.0, x, 0.0, SCALE, y])
    raise ValueError(
        f"crops of half the size are cut by Translation(zoom={SCALE}), Attention() or Affine(),"
        f" not by {transform}"
    )
