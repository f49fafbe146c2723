"""Random bytes in the place of MNIST: what is timed does not depend on what the digits show."""

import hashlib
from typing import ClassVar

import torch

from stn.data.mnist import MnistDataModule
from stn.data.pool import Split


class RandomDigits(MnistDataModule):
    """MNIST's data module with as many images of noise; needs no files."""

    num_images: ClassVar = {"train": 55_000, "val": 5_000, "test": 10_000}

    def prepare_data(self) -> None:
        """Do nothing: there are no files."""

    def load(self) -> tuple[dict[str, Split], str]:
        """Draw images and labels, the same every time."""
        random = torch.Generator().manual_seed(0)
        splits = {}
        for split, num in self.num_images.items():
            pixels = torch.randint(256, (num, 1, 28, 28), dtype=torch.uint8, generator=random)
            splits[split] = Split(pixels, torch.randint(10, (num,), generator=random))
        return splits, hashlib.sha256(b"random digits").hexdigest()


class FewRandomDigits(RandomDigits):
    """As few of them as a test of whole sweeps in processes of their own wants."""

    num_images: ClassVar = {"train": 640, "val": 128, "test": 150}
