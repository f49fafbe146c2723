"""Digits filled with gratings whose frequency is the class: where sampling has to keep detail."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from stn.data.mnist import NUM_CLASSES, MnistDataModule
from stn.data.pool import Split
from stn.data.randomness import integers, stream, uniform

LOWEST, HIGHEST = 0.06, 0.42  # cycles a pixel, of the first class and of the last


class TexturedMnistDataModule(MnistDataModule):
    """Distorted digits of any class, multiplied by a grating of the image.

    The class is one of ten frequencies, evenly from 0.06 to 0.42 cycles a pixel, drawn for each
    image once; direction and phase of the grating are drawn anew wherever the distortion is. The
    grating lies in the pixels of the finished image, so that a distortion does not change its
    frequency. Arguments, errors and batches are those of `MnistDataModule`.
    """

    def load(self) -> tuple[Mapping[str, Split], str]:
        """Reads the digits, and gives each image the class of its grating."""
        splits, sha256 = super().load()
        found = {}
        for name, (pool, labels) in splits.items():
            key = stream(self.data_seed, f"textures/{name}")
            found[name] = Split(pool, integers(key, torch.arange(len(labels)), [NUM_CLASSES])[:, 0])
        return found, sha256

    def draw(self, split: str, pool: Tensor, numbers: Tensor, key: int) -> Tensor:
        """Distorts the digits, and fills them."""
        U = super().draw(split, pool, numbers, key)
        classes = self._splits[split].targets.to(numbers.device)[numbers]
        frequency = LOWEST + (HIGHEST - LOWEST) * classes / (NUM_CLASSES - 1)
        direction, phase = (2 * math.pi * uniform(stream(key, "grating"), numbers, 2)).unbind(dim=1)
        y, x = (torch.arange(side, device=U.device) for side in U.shape[2:])
        along = x * direction.cos()[:, None, None] + y[:, None] * direction.sin()[:, None, None]
        waves = (2 * math.pi * frequency[:, None, None] * along + phase[:, None, None]).sin()
        return U * (1 + waves[:, None]) / 2
