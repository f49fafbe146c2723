"""The nearest that torchvision and kornia have to the paper's distortions.

Both start from bytes and end with floats of the column's size; neither cuts and pastes clutter.
"""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

from stn.data.distortions import DIGIT_PX

Augmentation = Callable[[Tensor], Tensor]
RTS = (45.0, (0.25, 0.25), (0.7, 1.2))  # degrees, translation in shares of the image, scale

BILINEAR = v2.InterpolationMode.BILINEAR
TORCHVISION: dict[str, Sequence[Augmentation]] = {
    "mnist": [],
    "mnist_r": [v2.RandomRotation(90, BILINEAR)],
    "mnist_rts": [v2.RandomAffine(*RTS, interpolation=BILINEAR)],
    "mnist_p": [v2.RandomPerspective(0.5, p=1)],
    "mnist_e": [v2.ElasticTransform(50.0, 5.0)],
}
KORNIA: dict[str, Callable[[Any], Augmentation]] = {
    "mnist_r": lambda k: k.RandomRotation(90.0, p=1.0),
    "mnist_rts": lambda k: k.RandomAffine(*RTS, p=1.0),
    "mnist_p": lambda k: k.RandomPerspective(0.5, p=1.0),
    "mnist_e": lambda k: k.RandomThinPlateSpline(0.2, p=1.0),
}


def has_kornia() -> bool:
    """Tell whether kornia is installed; it comes with the `dev` extra."""
    return importlib.util.find_spec("kornia") is not None


def torchvision(data: str, side: int) -> Augmentation:
    """Return torchvision's transform of one digit (1, 28, 28) of bytes."""
    margin = [v2.Pad((side - DIGIT_PX) // 2)] if side > DIGIT_PX else []
    return v2.Compose([*margin, v2.ToDtype(torch.float32, scale=True), *TORCHVISION[data]])


def kornia(data: str, side: int) -> Augmentation:
    """Return kornia's augmentation of a batch of digits (B, 1, 28, 28) of bytes."""
    distort = KORNIA[data](importlib.import_module("kornia.augmentation"))
    margin = (side - DIGIT_PX) // 2

    def augment(digits: Tensor) -> Tensor:
        return distort(F.pad(digits.float() / 255, [margin] * 4))

    return augment
