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
        device = batch.numbers.device
        digits = self._splits[batch.split].targets.to(device)
        chosen = uniform(stream(batch.key, "second digit"), batch.numbers, 1)[:, 0]
        partners = (chosen * len(digits)).long().clamp(max=len(digits) - 1)
        pool = self._pools[batch.split, device]
        second = self.draw(batch.split, pool, partners, stream(batch.key, "second distortion"))
        return torch.cat([first, second], dim=1), labels + digits[partners]
