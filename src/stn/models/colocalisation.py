"""Co-localisation: transformers that crop, and the encoder that compares crops (Appendix A.2)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stn.models.mnist import Cnn, Shape
from stn.transformers import Attention, SpatialTransformer, Transform, Translation
from stn.transformers.localisation import regression_layer


class Crops(NamedTuple):
    """What each of T transformers cuts out of images, and where.

    Attributes:
        V: (B, T, C, H', W').
        boxes: (B, T, 4), left, top, right and bottom, -1 and 1 the centres of border pixels.
    """

    V: Tensor
    boxes: Tensor


class StridedLocalisation(nn.Module):
    """conv 8@9x9 of stride 4 - max 2x2 - FC8 - FC8 - regression, with ReLU (Appendix A.2).

    Args:
        in_shape: (C, H, W) of U.
        transform: the family of warps to find the parameters of.

    Raises:
        ValueError: the image is too small.
    """

    def __init__(self, in_shape: Shape, transform: Transform) -> None:
        super().__init__()
        channels, *sides = in_shape
        height, width = (((side - 9) // 4 + 1) // 2 for side in sides)
        if min(height, width) < 1:
            raise ValueError(f"images of {(*sides,)} pixels are too small: 13 x 13 at least")
        self.features = nn.Sequential(
            nn.Conv2d(channels, 8, 9, stride=4),
            nn.MaxPool2d(2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * height * width, 8),
            nn.ReLU(),
            nn.Linear(8, 8),
            nn.ReLU(),
        )
        self.regression = regression_layer(8, transform)

    def forward(self, U: Tensor) -> Tensor:
        """Return theta (B, P) of the images U (B, C, H, W)."""
        return self.regression(self.features(U))


class Colocaliser(nn.Module):
    """Transformers side by side, each of which cuts a square out of an image, and an encoder.

    The encoder is the CNN of Section 4.1, and its layers' activations are the code of a crop. It
    learns along, from labelled digits, unless a run gives it: then it stays as it is.

    Differs from the paper: each layer's activations are scaled to length 1. As they are, crops of
    nothing are nearest to each other, and the least loss is beside the digits; see
    `docs/deviations.md`.

    Args:
        in_shape: (C, H, W) of U.
        transform: `Attention` or `Translation`.
        crop_px: side of the square that is cut out at the start, in pixels of U.
        num_transformers: how many.
        encoder_width: filters of the encoder.
        encoder_run: the finished run of a CNN for digits of 28 x 28 that gives the encoder; None to
            have it learn along.
        runs_dir: the folder with that run.

    Raises:
        ValueError: the encoder and U have other channels; another transform; a number is out of
            range; or the run does not give such an encoder.
    """

    side, num_classes = 28, 10

    def __init__(
        self,
        in_shape: Shape,
        transform: Transform,
        crop_px: float,
        num_transformers: int = 1,
        encoder_width: int = 48,
        encoder_run: str | None = None,
        runs_dir: str | Path = "runs",
    ) -> None:
        super().__init__()
        channels, height, width = in_shape
        if channels != 1:
            raise ValueError(f"the encoder takes images of 1 channel, not of {channels}")
        if not 1 < crop_px <= min(height, width):
            raise ValueError(f"crop_px must be in 1..{min(height, width)}, not {crop_px}")
        if num_transformers < 1:
            raise ValueError(f"num_transformers must be positive, not {num_transformers}")
        self.scale = (crop_px - 1) / (min(height, width) - 1)
        self.transformers = nn.ModuleList()
        for _ in range(num_transformers):
            localisation = StridedLocalisation(in_shape, transform)
            localisation.regression.bias.data.copy_(_start(transform, self.scale))
            self.transformers.append(SpatialTransformer(localisation, transform, self.side))
        self.encoder = Cnn((1, self.side, self.side), self.num_classes, encoder_width)
        self.encoder_learns = encoder_run is None
        if encoder_run is not None:
            weights = weights_of_run(Path(runs_dir) / encoder_run, self.encoder.state_dict())
            self.encoder.load_state_dict(weights)
            self.encoder.requires_grad_(False)

    def forward(self, U: Tensor) -> Crops:
        """Cut squares out of the images U (B, C, H, W)."""
        V = torch.stack([transformer(U) for transformer in self.transformers], dim=1)
        boxes = []
        for transformer in self.transformers:
            A = transformer.transform.matrix(transformer.theta(U))  # (B, 2, 3)
            half = A.diagonal(dim1=1, dim2=2).abs()
            boxes.append(torch.cat([A[:, :, 2] - half, A[:, :, 2] + half], dim=1))
        return Crops(V, torch.stack(boxes, dim=1))

    def random_crops(self, U: Tensor) -> Tensor:
        """Cut a square of the size at the start out of each image, anywhere (B, C, H', W')."""
        free = 1 - self.scale
        places = (2 * torch.rand(len(U), 2, device=U.device) - 1) * free
        layer: SpatialTransformer = self.transformers[0]  # type: ignore[assignment]
        fixed = SpatialTransformer(layer.localisation, Translation(self.scale), self.side)
        return fixed.warp(U, places)

    def encode(self, V: Tensor) -> Tensor:
        """Return the codes (B, F) of crops (B, 1, 28, 28); the encoder does not learn by them."""
        codes, x = [], V
        with _still(self.encoder):
            for part in (slice(0, 3), slice(3, 6), slice(6, None)):
                x = self.encoder.layers[part](x)
                codes.append(F.normalize(x.flatten(1), dim=1))
        return torch.cat(codes, dim=1)


def weights_of_run(folder: Path, wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a finished run of a CNN for digits of 28 x 28.

    Args:
        folder: of the run.
        wanted: the names and shapes of the weights.

    Raises:
        ValueError: there is no such run; it is not finished, or of another data set or network.
    """
    try:
        record = json.loads((folder / "result.json").read_text())
        status, data, size = record["status"], record["data"], record["config"]["data"]
        image = [size["channels"], *size["image_size"], size["num_classes"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"encoder_run: {folder} is not a finished run: {error!r}") from error
    if status != "finished":
        raise ValueError(f"encoder_run: {folder} is {status}, not finished")
    if image != [1, 28, 28, 10]:
        raise ValueError(
            f"encoder_run: {folder} is of {data}, whose images are {image[:3]} of {image[3]}"
            " classes; wanted is a run on digits of [1, 28, 28] of 10 classes, such as data=mnist"
        )
    try:
        found = torch.load(folder / "weights.pt", map_location="cpu", weights_only=True)
    except Exception as error:  # of whatever kind: torch raises many
        raise ValueError(f"encoder_run: the weights of {folder} cannot be read: {error}") from error
    if {k: v.shape for k, v in found.items()} != {k: v.shape for k, v in wanted.items()}:
        raise ValueError(
            f"encoder_run: the network of {folder} is {record['model']}, not a CNN of the same"
            " width (encoder_width)"
        )
    return found


@contextmanager
def _still(network: nn.Module) -> Iterator[None]:
    """Have what is computed in the block give no gradient to the network's own parameters."""
    learning = [p for p in network.parameters() if p.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def _start(transform: Transform, scale: float) -> Tensor:
    """Return theta of a square of this scale in the middle of the image."""
    match transform:
        case Translation(zoom=zoom) if abs(zoom - scale) < 1e-6:
            return torch.zeros(2)
        case Attention():
            return torch.tensor([scale, 0.0, 0.0])
    raise ValueError(
        f"squares of scale {scale:.4f} are cut by Attention() or Translation({scale:.4f}), not by"
        f" {transform}"
    )
