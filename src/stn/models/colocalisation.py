"""Co-localisation: transformers that crop, and the encoder that compares crops (Appendix A.2)."""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from stn.files.regular import regular
from stn.files.run_files import RESULT
from stn.files.saved import load_weights
from stn.models.mnist import Cnn, Shape
from stn.transformers import Attention, SpatialTransformer, Translation
from stn.transformers.localisation import regression_layer


class Crops(NamedTuple):
    """What each of T transformers cuts out of images, and where.

    Attributes:
        V: (B, T, C, H', W').
        boxes: (B, T, 4), left, top, right and bottom, -1 and 1 the centres of border pixels.
    """

    V: Tensor
    boxes: Tensor


class SquareLocalisation(nn.Module):
    """conv 8@9x9 of stride 4 - max 2x2 - FC8 - FC8 - regression, with ReLU (Appendix A.2).

    It finds the place of a square whose size is given, and which does not leave the image.

    Args:
        in_shape: (C, H, W) of U.
        crop_px: side of the square, in pixels of U.

    Raises:
        ValueError: the image or the square is too small.
    """

    scale: Tensor

    def __init__(self, in_shape: Shape, crop_px: float) -> None:
        super().__init__()
        channels, *sides = in_shape
        height, width = (((side - 9) // 4 + 1) // 2 for side in sides)
        if min(height, width) < 1:
            raise ValueError(f"images of {(*sides,)} pixels are too small: 13 x 13 at least")
        if not 1 < crop_px < min(sides):
            raise ValueError(f"crop_px must be within 1 and {min(sides)} pixels, not {crop_px}")
        scale = (crop_px - 1) / (min(sides) - 1)
        self.free = 1 - scale  # how far the square's centre may be off the image's
        self.register_buffer("scale", torch.tensor(scale))
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
        for layer in self.features:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                layer.bias.data.zero_()  # type: ignore[union-attr]
        self.regression = regression_layer(8, Translation())

    def forward(self, U: Tensor) -> Tensor:
        """Return theta (B, 3) of `Attention` of the images U (B, C, H, W)."""
        places = self.free * torch.tanh(self.regression(self.features(U)) / self.free)
        return torch.cat([self.scale.expand(len(U), 1), places], dim=1)


class Colocaliser(nn.Module):
    """Transformers side by side, each of which cuts a square out of an image, and an encoder.

    The encoder is the CNN of Section 4.1, and its layers' activations are the code of a crop. It
    learns along, from labelled digits, unless a run gives it: then it stays as it is.

    Differs from the paper: in training the places of squares are jittered, less and less; and the
    activations of each layer are divided by their mean length on digits. Why: `docs/deviations.md`.

    Args:
        in_shape: (C, H, W) of U.
        crop_px: side of the squares, in pixels of U.
        total_steps: length of training in optimiser steps.
        jitter_px: standard deviation of the jitter at the start and in the end, in pixels of U.
        num_transformers: how many.
        encoder_width: filters of the encoder.
        encoder_run: the finished run of a CNN for digits of 28 x 28 that gives the encoder; None to
            have it learn along.
        runs_dir: the folder with that run.

    Raises:
        ValueError: the encoder and U have other channels; a number is out of range; or the run does
            not give such an encoder.
    """

    side, num_classes = 28, 10
    step: Tensor
    lengths: Tensor

    def __init__(
        self,
        in_shape: Shape,
        crop_px: float,
        total_steps: int,
        jitter_px: Sequence[float] = (10.0, 2.0),
        num_transformers: int = 1,
        encoder_width: int = 48,
        encoder_run: str | None = None,
        runs_dir: str | Path = "runs",
    ) -> None:
        super().__init__()
        if in_shape[0] != 1:
            raise ValueError(f"the encoder takes images of 1 channel, not of {in_shape[0]}")
        if num_transformers < 1 or total_steps < 1:
            raise ValueError(
                f"num_transformers and total_steps must be positive, not {num_transformers} and"
                f" {total_steps}"
            )
        if not 0 < jitter_px[1] <= jitter_px[0]:
            raise ValueError(f"jitter_px must be positive and not grow, not {(*jitter_px,)}")
        self.jitter_px = jitter_px[0], jitter_px[1]
        self.total_steps = total_steps
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.transformers = nn.ModuleList(
            SpatialTransformer(SquareLocalisation(in_shape, crop_px), Attention(), self.side)
            for _ in range(num_transformers)
        )
        self.encoder = Cnn((1, self.side, self.side), self.num_classes, encoder_width)
        self.register_buffer("lengths", torch.ones(3))
        self.encoder_learns = encoder_run is None
        if encoder_run is not None:
            weights = weights_of_run(Path(runs_dir) / encoder_run, self.encoder.state_dict())
            self.encoder.load_state_dict(weights)
            self.encoder.requires_grad_(False)

    def forward(self, U: Tensor) -> Crops:
        """Cut squares out of the images U (B, C, H, W)."""
        V = torch.stack([transformer(U) for transformer in self.transformers], dim=1)
        thetas = torch.stack([layer.localisation(U) for layer in self._layers()], dim=1)
        half, centres = thetas[..., :1], thetas[..., 1:]
        return Crops(V, torch.cat([centres - half, centres + half], dim=2))

    @property
    def done(self) -> float:
        """The share of training that is over."""
        return min(1.0, self.step.item() / self.total_steps)

    def explore(self, U: Tensor) -> tuple[Tensor, Tensor]:
        """Cut squares out of U at jittered places within the image.

        Returns:
            The squares (B, T, C, H', W'), whose gradient is that of their places; and the log of
            the likelihood (B, T) of these places, up to a constant, whose gradient is that of the
            places before the jitter: for the score function.
        """
        first, last = self.jitter_px
        deviation = 2 * max(last, (1 - self.done) * first) / (min(U.shape[2:]) - 1)
        crops, likelihoods = [], []
        for layer in self._layers():
            theta = layer.theta(U)
            free, means = layer.localisation.free, theta[:, 1:]
            drawn = means.detach() + deviation * torch.randn_like(means)
            shift = drawn.clamp(-free, free) - means.detach()
            crops.append(layer.warp(U, torch.cat([theta[:, :1], means + shift], dim=1)))
            standard = (means.detach() + shift - means) / deviation
            likelihoods.append(-standard.pow(2).sum(dim=1) / 2)
        return torch.stack(crops, dim=1), torch.stack(likelihoods, dim=1)

    def random_crops(self, U: Tensor) -> Tensor:
        """Cut a square out of each image, anywhere (B, C, H', W')."""
        layer = self._layers()[0]
        scale = layer.localisation.scale.expand(len(U), 1)
        places = (2 * torch.rand(len(U), 2, device=U.device) - 1) * (1 - scale)
        return layer.warp(U, torch.cat([scale, places], dim=1))

    def encode(self, V: Tensor) -> Tensor:
        """Return the codes (B, F) of crops (B, 1, 28, 28); the encoder does not learn by them."""
        with _still(self.encoder):
            layers = self._activations(V)
        codes = [x / length for x, length in zip(layers, self.lengths, strict=True)]
        return torch.cat(codes, dim=1) / math.sqrt(len(codes))

    @torch.no_grad()
    def measure(self, digits: Tensor) -> None:
        """Take the mean length of the activations of digits (B, 1, 28, 28) as that of codes."""
        self.lengths = torch.stack([x.norm(dim=1).mean() for x in self._activations(digits)])

    def _activations(self, x: Tensor) -> list[Tensor]:
        found = []
        for part in (slice(0, 3), slice(3, 6), slice(6, None)):
            x = self.encoder.layers[part](x)
            found.append(x.flatten(1))
        return found

    def _layers(self) -> list[Any]:
        return [*self.transformers]


def weights_of_run(folder: Path, wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a finished run of a CNN for digits of 28 x 28.

    Args:
        folder: of the run.
        wanted: the names and shapes of the weights.

    Raises:
        ValueError: there is no such run; it is not finished, or of another data set or network.
    """
    try:
        record = json.loads(regular(folder / RESULT).read_text())
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
        found = load_weights(folder, record.get("weights_sha256"))
    except (OSError, ValueError) as error:
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
