"""MNIST for training: light loaders of sample numbers, and distortion on the training device."""

import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor

from stn.data.distortions import Distortion
from stn.data.mnist_source import fetch_mnist, load_mnist
from stn.data.randomness import permutation, stream

NUM_CLASSES = 10


class Split(NamedTuple):
    """The undistorted digits of a split, and what they are."""

    images: Tensor  # (N, 1, 28, 28) uint8
    labels: Tensor  # (N,) int64


class Samples(NamedTuple):
    """A batch before it is drawn: which digits of which split, and the key of their distortion."""

    numbers: Tensor  # (B,) int64
    labels: Tensor  # (B,) int64
    split: str
    key: int


class SampleLoader:
    """Batches of sample numbers, of which each process of a distributed run takes its share.

    Sized and iterable, and all that Lightning needs: there are no workers, for there is no work.

    Args:
        split: name of the split.
        labels: (N,) of the split.
        batch_size: samples of a whole batch, over all processes.
        drop_last: leave out a last batch that is not full.
        draw: called when an epoch starts: the order of the samples (N,) and the distortion key.
        rank: this process, of `world_size`.
        world_size: number of processes.
    """

    def __init__(
        self,
        split: str,
        labels: Tensor,
        batch_size: int,
        drop_last: bool,
        draw: Callable[[], tuple[Tensor, int]],
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.split, self.labels, self.batch_size, self.draw = split, labels, batch_size, draw
        self.rank, self.world_size = rank, world_size
        self.num_batches = (math.floor if drop_last else math.ceil)(len(labels) / batch_size)

    def __len__(self) -> int:
        return self.num_batches

    def __iter__(self) -> Iterator[Samples]:
        order, key = self.draw()
        for batch in order.split(self.batch_size)[: self.num_batches]:
            share = batch.tensor_split(self.world_size)[self.rank]
            yield Samples(share, self.labels[share], self.split, key)


class MnistDataModule(pl.LightningDataModule):
    """MNIST under a distortion: on line for training, the same images every time otherwise.

    The official splits; the last `num_val` training images are for validation. A batch reaches the
    task as (U (B, 1, H, W) float32, labels (B,) int64). Only sample numbers travel to the device;
    the digits live there, as bytes, and are distorted there.

    Every draw is a function of seed, epoch and sample, so a run resumed at the start of an epoch
    sees what an uninterrupted one sees, and so does each process of a distributed run.

    Args:
        distortion: from digits to images.
        batch_size: samples of a whole batch, over all processes.
        num_val: images kept from training.
        seed: of the order and of the distortions of training.
        data_seed: of the distortions of validation and test, which runs to be compared share.
        data_dir: folder with `mnist/`; `STN_DATA_DIR`, else `data`, if not given.

    Raises:
        ValueError: A number is out of range.
        DataError: The data are missing or damaged (on `prepare_data` or `setup`).
    """

    def __init__(
        self,
        distortion: Distortion,
        batch_size: int,
        num_val: int,
        seed: int,
        data_seed: int,
        data_dir: str | Path | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be positive, got {batch_size}")
        self.distortion, self.batch_size, self.num_val = distortion, batch_size, num_val
        self.seed, self.data_seed = seed, data_seed
        self.data_dir = Path(data_dir or os.environ.get("STN_DATA_DIR", "data"))
        self._splits: dict[str, Split] = {}
        self._pools: dict[tuple[str, torch.device], Tensor] = {}
        self._sha256 = ""

    def prepare_data(self) -> None:
        """Fetches the files, if they are not there (one process does this)."""
        fetch_mnist(self.data_dir)

    def setup(self, stage: str | None = None) -> None:
        """Reads and verifies the files, once, and splits them."""
        if self._splits:
            return
        mnist = load_mnist(self.data_dir)
        num_train = len(mnist.train_labels) - self.num_val
        if not 0 < num_train < len(mnist.train_labels):
            raise ValueError(
                f"num_val must be in 1..{len(mnist.train_labels) - 1}, got {self.num_val}"
            )
        if num_train < self.batch_size:
            raise ValueError(
                f"batch_size {self.batch_size} exceeds the {num_train} training images"
            )
        self._sha256 = mnist.sha256
        self._splits = {
            "train": Split(mnist.train_images[:num_train], mnist.train_labels[:num_train]),
            "val": Split(mnist.train_images[num_train:], mnist.train_labels[num_train:]),
            "test": Split(mnist.test_images, mnist.test_labels),
        }

    def train_dataloader(self) -> SampleLoader:
        """Every epoch in an order and with distortions of its own; all batches full."""
        _, world_size = self._rank_and_world_size()
        if self.batch_size % world_size:
            raise ValueError(f"batch_size {self.batch_size} is not divisible by {world_size}")
        return self._loader("train", self._draw_epoch, drop_last=True)

    def val_dataloader(self) -> SampleLoader:
        """All validation images, always the same, in order."""
        return self._loader("val", lambda: self._draw_fixed("val"), drop_last=False)

    def test_dataloader(self) -> SampleLoader:
        """All test images, always the same, in order."""
        return self._loader("test", lambda: self._draw_fixed("test"), drop_last=False)

    def on_after_batch_transfer(self, batch: Samples, dataloader_idx: int) -> tuple[Tensor, Tensor]:
        """Draws the images where the batch now is."""
        pool = self._pool(batch.split, batch.numbers.device)
        return self.distortion(pool, batch.numbers, batch.key), batch.labels

    def panel_batch(self, num: int) -> tuple[Tensor, Tensor]:
        """The same digits for every picture: 0-9 from validation, then the next 0-9, up to num."""
        self.setup()
        split, key = self._splits["val"], stream(self.data_seed, "val")
        seen_before = F.one_hot(split.labels, NUM_CLASSES).cumsum(0)
        rank = seen_before.gather(1, split.labels[:, None])[:, 0]  # 1 for the first of its class
        index = (rank * NUM_CLASSES + split.labels).argsort(stable=True)[:num]
        return self.distortion(split.images, index, key), split.labels[index]

    def data_sha256(self) -> str:
        """One checksum of the unpacked content of all four files."""
        self.setup()
        return self._sha256

    def _loader(
        self, split: str, draw: Callable[[], tuple[Tensor, int]], drop_last: bool
    ) -> SampleLoader:
        self.setup()
        rank, world_size = self._rank_and_world_size()
        labels = self._splits[split].labels
        return SampleLoader(split, labels, self.batch_size, drop_last, draw, rank, world_size)

    def _draw_epoch(self) -> tuple[Tensor, int]:
        """Order and key of the epoch that is now; read when it starts, so that none can repeat."""
        epoch = self.trainer.current_epoch if self.trainer else 0
        order = permutation(stream(self.seed, "order", epoch), len(self._splits["train"].labels))
        return order, stream(self.seed, "train", epoch)

    def _draw_fixed(self, split: str) -> tuple[Tensor, int]:
        return torch.arange(len(self._splits[split].labels)), stream(self.data_seed, split)

    def _pool(self, split: str, device: torch.device) -> Tensor:
        """The digits of a split on this device, copied there once."""
        place = split, device
        if place not in self._pools:
            self._pools[place] = self._splits[split].images.to(device)
        return self._pools[place]

    def _rank_and_world_size(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
