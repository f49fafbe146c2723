"""MNIST addition: two digits, each distorted on its own; the class is their sum (Appendix A.1)."""

import torch
from torch import Tensor

from stn.data.mnist import MnistDataModule
from stn.data.pool import Samples
from stn.data.randomness import stream, uniform


class AdditionDataModule(MnistDataModule):
    """Pairs of digits of the same split, one in each of two channels, and their sum, 0 to 18.

    A batch reaches the task as (U (B, 2, H, W) in [0, 1], sums (B,)). The first digit is the
    sample; the second is drawn, anew in every epoch of training. Arguments and errors are those of
    `MnistDataModule`.
    """

    def on_after_batch_transfer(self, batch: Samples, dataloader_idx: int) -> tuple[Tensor, Tensor]:
        """Draws both digits where the batch now is, and adds their labels."""
        first, labels = super().on_after_batch_transfer(batch, dataloader_idx)
        partners, key = self.second(batch.split, batch.numbers, batch.key)
        pool = self._pools[batch.split, batch.numbers.device]
        second = self.draw(batch.split, pool, partners, key)
        digits = self._splits[batch.split].targets.to(labels.device)
        return torch.cat([first, second], dim=1), labels + digits[partners]

    def second(self, split: str, numbers: Tensor, key: int) -> tuple[Tensor, int]:
        """Tell which digits (B,) are second beside those of `numbers`, and the key of their draws.

        Args:
            split: of both.
            numbers: of the first digits (B,).
            key: of their draws.
        """
        chosen = uniform(stream(key, "second digit"), numbers, 1)[:, 0]
        num = len(self._splits[split].targets)
        return (chosen * num).long().clamp(max=num - 1), stream(key, "second distortion")
