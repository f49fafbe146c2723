"""A small MNIST made in memory, for cells whose processes do not see what a test replaces.

    data.module._target_=tests.small_mnist.SmallMnist

Environment variables of a test, which are no part of the cell, can have rank 1 misbehave.
"""

import os
import signal

import torch
from torch import Tensor

from stn.data.mnist import MnistDataModule
from stn.data.pool import Samples, Split

SIZES = {"train": 512, "val": 101, "test": 129}  # with batches of 64: the last share is empty
KILL, SPOIL = "TEST_KILL_RANK_1_AT_STEP", "TEST_SPOIL_RANK_1_AT_STEP"


class SmallMnist(MnistDataModule):
    """Bars whose length tells the class, 0-9."""

    def prepare_data(self) -> None:
        """Do nothing: there are no files."""

    def load(self) -> tuple[dict[str, Split], str]:
        """Draw the digits, the same every time."""
        random = torch.Generator().manual_seed(0)
        splits = {}
        for split, num in SIZES.items():
            labels = torch.randint(10, (num,), generator=random)
            images = torch.randint(40, (num, 1, 28, 28), dtype=torch.uint8, generator=random)
            for image, label in zip(images, labels.tolist(), strict=True):
                image[0, 6 : 12 + label, 12:16] = 255
            splits[split] = Split(images, labels)
        return splits, "0" * 64

    def on_after_batch_transfer(self, batch: Samples, dataloader_idx: int) -> tuple[Tensor, Tensor]:
        """Draw the images; misbehave where a test asks for it."""
        U, labels = super().on_after_batch_transfer(batch, dataloader_idx)
        if batch.split == "train" and self._asked(KILL):
            os.kill(os.getpid(), signal.SIGKILL)
        return (U * torch.nan if batch.split == "train" and self._asked(SPOIL) else U), labels

    def _asked(self, name: str) -> bool:
        if self.trainer is None or self.trainer.global_rank != 1 or name not in os.environ:
            return False
        return self.trainer.global_step == int(os.environ[name])
