"""Samples that live on the training device as bytes, and are drawn there a batch at a time.

Light loaders give the numbers of samples; only those travel to the device, where `draw` makes
images of them.
"""

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor

from stn.data.randomness import permutation, stream


class Split(NamedTuple):
    """The samples of a split as they are stored, and what they are."""

    pool: Tensor  # (N, ...) uint8
    targets: Tensor  # (N, ...) int64


class Samples(NamedTuple):
    """A batch before it is drawn: which samples of which split, and the key of their draws."""

    numbers: Tensor  # (B,) int64
    targets: Tensor  # (B, ...) int64
    split: str
    key: int


class SampleLoader:
    """Batches of sample numbers, of which each process of a distributed run takes its share.

    Sized and iterable, and all that Lightning needs: there are no workers, for there is no work.

    Args:
        data: whose samples they are.
        split: "train", of which a last batch that is not full is left out, or another.
    """

    def __init__(self, data: "PoolDataModule", split: str) -> None:
        self.data, self.split = data, split
        num = len(data.targets(split)) / data.batch_size
        self.num_batches = math.floor(num) if split == "train" else math.ceil(num)

    def __len__(self) -> int:
        return self.num_batches

    def __iter__(self) -> Iterator[Samples]:
        """Goes through the epoch that is now: it is asked when one starts, so none can repeat."""
        trainer = self.data.trainer
        epoch, rank, world_size = (
            (trainer.current_epoch, trainer.global_rank, trainer.world_size)
            if trainer
            else (0, 0, 1)
        )
        key = self.data.key(self.split, epoch)
        order = self.data.order(self.split, epoch)
        for batch in order.split(self.data.batch_size)[: self.num_batches]:
            numbers = batch.tensor_split(world_size)[rank]
            yield Samples(numbers, self.data.targets(self.split)[numbers], self.split, key)


def windows(pool: Tensor, numbers: Tensor, side: int, places: Tensor | None = None) -> Tensor:
    """Cut a square out of each of these samples (B, C, side, side), as float32 in [0, 1].

    Args:
        pool: (N, C, S, S), bytes.
        numbers: (B,) of the samples.
        side: of the squares.
        places: (B, 2) from 0 to 1, from left to right and top to bottom; None for the middle.
    """
    free = pool.shape[2] - side
    if places is None:
        left = top = torch.full_like(numbers, free // 2)
    else:
        left, top = (places * (free + 1)).long().clamp(max=free).T
    views = pool.unfold(2, side, 1).unfold(3, side, 1)
    return views[numbers, :, top, left].float().div_(255)


class PoolDataModule(pl.LightningDataModule):
    """Keeps the splits "train", "val" and "test" on the device, and draws batches there.

    Every draw is a function of seed, epoch and sample, so a run resumed at the start of an epoch
    sees what an uninterrupted one sees, and so does each process of a distributed run. Validation
    and test samples are drawn once and for all, by `data_seed`. A subclass says where samples come
    from (`load`) and how they are drawn (`draw`); the rest of `contract.CellData` is here.

    Args:
        batch_size: samples of a whole batch, over all processes.
        seed: of the order and of the draws of training.
        data_seed: of the draws of validation and test, which runs to be compared share.
        data_dir: folder with all data sets.

    Raises:
        ValueError: a number is out of range.
    """

    def __init__(self, batch_size: int, seed: int, data_seed: int, data_dir: str | Path) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be positive, got {batch_size}")
        self.batch_size, self.seed, self.data_seed = batch_size, seed, data_seed
        self.data_dir = Path(data_dir)
        self._splits: Mapping[str, Split] = {}
        self._pools: dict[tuple[str, torch.device], Tensor] = {}
        self._sha256 = ""

    @abstractmethod
    def load(self) -> tuple[Mapping[str, Split], str]:
        """Read the files: the three splits by name, and one checksum of all that was read."""

    @abstractmethod
    def draw(self, split: str, pool: Tensor, numbers: Tensor, key: int) -> Tensor:
        """Draw the samples U (B, ...) of these numbers of a split, on the pool's device."""

    def setup(self, stage: str | None = None) -> None:
        """Reads the files, once."""
        if self._splits:
            return
        splits, self._sha256 = self.load()
        num_train = len(splits["train"].targets)
        if num_train < self.batch_size:
            raise ValueError(
                f"batch_size {self.batch_size} exceeds the {num_train} training images"
            )
        self._splits = splits

    def train_dataloader(self) -> SampleLoader:
        """Every epoch in an order and with draws of its own; all batches full."""
        world_size = self.trainer.world_size if self.trainer else 1
        if self.batch_size % world_size:
            raise ValueError(f"batch_size {self.batch_size} is not divisible by {world_size}")
        return SampleLoader(self, "train")

    def val_dataloader(self) -> SampleLoader:
        """All validation samples, always the same, in order."""
        return SampleLoader(self, "val")

    def test_dataloader(self) -> SampleLoader:
        """All test samples, always the same, in order."""
        return SampleLoader(self, "test")

    def on_after_batch_transfer(self, batch: Samples, dataloader_idx: int) -> tuple[Tensor, Tensor]:
        """Draws the samples where the batch now is."""
        device = batch.numbers.device
        if (batch.split, device) not in self._pools:  # copied there once
            self._pools[batch.split, device] = self._splits[batch.split].pool.to(device)
        pool = self._pools[batch.split, device]
        return self.draw(batch.split, pool, batch.numbers, batch.key), batch.targets

    def panel_batch(self, num: int) -> tuple[Tensor, Tensor]:
        """The same samples for every picture: the first of validation, as many as there are."""
        return self.drawn("val", self.order("val")[:num])

    def drawn(
        self, split: str, numbers: Tensor, epoch: int = 0, device: torch.device | str = "cpu"
    ) -> tuple[Tensor, Tensor]:
        """These samples as every run sees them (in an epoch, if they are of training)."""
        targets = self.targets(split)[numbers].to(device)
        samples = Samples(numbers.to(device), targets, split, self.key(split, epoch))
        return self.on_after_batch_transfer(samples, 0)

    def order(self, split: str, epoch: int = 0) -> Tensor:
        """The numbers of a split's samples (N,): in an order for each epoch of training."""
        num = len(self.targets(split))
        if split == "train":
            return permutation(stream(self.seed, "order", epoch), num)
        return torch.arange(num)

    def key(self, split: str, epoch: int = 0) -> int:
        """The key of a split's draws: one for each epoch of training."""
        if split == "train":
            return stream(self.seed, "train", epoch)
        return stream(self.data_seed, split)

    def targets(self, split: str) -> Tensor:
        """What the samples of a split are (N, ...)."""
        self.setup()
        return self._splits[split].targets

    def count_images(self) -> dict[str, int]:
        """Images of each split."""
        self.setup()
        return {name: len(split.targets) for name, split in self._splits.items()}

    def data_sha256(self) -> str:
        """One checksum of all that was read."""
        self.setup()
        return self._sha256
