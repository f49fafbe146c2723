"""MNIST under a distortion, for training (Section 4.1, Appendix A.4)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stn.data import ink
from stn.data.distortions import Distortion
from stn.data.mnist_source import Mnist, fetch_mnist, load_mnist
from stn.data.pool import PoolDataModule, Split
from stn.data.randomness import permutation, stream

NUM_CLASSES = 10


def divided(mnist: Mnist, num_val: int) -> tuple[Split, Split]:
    """Return the training images but the last `num_val`, and these.

    Raises:
        ValueError: one of both would be empty.
    """
    num_train = len(mnist.train_labels) - num_val
    if not 0 < num_train < len(mnist.train_labels):
        raise ValueError(f"num_val must be in 1..{len(mnist.train_labels) - 1}, got {num_val}")
    return (
        Split(mnist.train_images[:num_train], mnist.train_labels[:num_train]),
        Split(mnist.train_images[num_train:], mnist.train_labels[num_train:]),
    )


class MnistDataModule(PoolDataModule):
    """MNIST under a distortion: on line for training, the same images every time otherwise.

    The official splits; the last `num_val` training images are for validation. A batch reaches the
    task as (U (B, 1, H, W) float32 in [0, 1], labels (B,) int64).

    Args:
        distortion: from digits to images.
        num_val: images kept from training.
        batch_size, seed, data_seed, data_dir: as in `PoolDataModule`; the last holds `mnist/`.

    Raises:
        ValueError: A number is out of range, or the distortion damages digits (`ink.check`).
        DataError: The data are missing or damaged (on `prepare_data` or `setup`).
    """

    def __init__(
        self,
        distortion: Distortion,
        num_val: int,
        batch_size: int,
        seed: int,
        data_seed: int,
        data_dir: str | Path,
    ) -> None:
        super().__init__(batch_size, seed, data_seed, data_dir)
        self.distortion, self.num_val = distortion, num_val

    def prepare_data(self) -> None:
        """Fetches the files, if they are not there (one process does this)."""
        fetch_mnist(self.data_dir)

    def load(self) -> tuple[Mapping[str, Split], str]:
        """Reads and verifies the files, and splits them; refuses what damages the digits."""
        mnist = load_mnist(self.data_dir)
        ink.check(self.distortion, mnist.train_images)
        train, val = divided(mnist, self.num_val)
        test = Split(mnist.test_images, mnist.test_labels)
        return {"train": train, "val": val, "test": test}, mnist.sha256

    def draw(self, split: str, pool: Tensor, numbers: Tensor, key: int) -> Tensor:
        """Distorts the digits."""
        return self.distortion(pool, numbers, key)

    def panel_batch(self, num: int) -> tuple[Tensor, Tensor]:
        """The same digits for every picture: 0-9 from validation, then the next 0-9, up to num."""
        self.setup()
        labels = self._splits["val"].targets
        seen_before = F.one_hot(labels, NUM_CLASSES).cumsum(0)
        rank = seen_before.gather(1, labels[:, None])[:, 0]  # 1 for the first of its class
        return self.drawn("val", (rank * NUM_CLASSES + labels).argsort(stable=True)[:num])


class DividedMnistDataModule(MnistDataModule):
    """All 70,000 digits, shuffled and divided anew: for benchmarks with few training images.

    Their own files cannot be had everywhere; these are as many digits of the same source, and the
    same ones for every seed.

    Args:
        num_train, num_val, num_test: images of these splits.
        others: as in `MnistDataModule`; `data_seed` decides the division, too.

    Raises:
        ValueError: as `MnistDataModule`; the splits need more images than there are.
    """

    def __init__(self, num_train: int, num_val: int, num_test: int, **others: Any) -> None:
        super().__init__(num_val=num_val, **others)
        self.num_images = {"train": num_train, "val": num_val, "test": num_test}

    def load(self) -> tuple[Mapping[str, Split], str]:
        """Reads and verifies the files, and divides what is in them."""
        mnist = load_mnist(self.data_dir)
        ink.check(self.distortion, mnist.train_images)
        images = torch.cat([mnist.train_images, mnist.test_images])
        labels = torch.cat([mnist.train_labels, mnist.test_labels])
        sizes = list(self.num_images.values())
        if min(sizes) < 1 or sum(sizes) > len(labels):
            raise ValueError(
                f"num_train, num_val and num_test must be positive and {len(labels)} together at "
                f"most, got {', '.join(map(str, sizes))}"
            )
        order = permutation(stream(self.data_seed, "division"), len(labels))
        parts = order[: sum(sizes)].split(sizes)
        return {
            split: Split(images[part], labels[part])
            for split, part in zip(self.num_images, parts, strict=True)
        }, mnist.sha256


class FewMnistDataModule(MnistDataModule):
    """MNIST with the first of its training images only, distorted anew in each epoch or once.

    Validation and test images are those of `MnistDataModule`, and fewer images are among more.

    Args:
        num_train: training images.
        once: each has one distortion in all epochs, drawn by the seed, as in a data set of files.
        others: as in `MnistDataModule`.

    Raises:
        ValueError: as `MnistDataModule`; there are not so many images.
    """

    def __init__(self, num_train: int, once: bool, **others: Any) -> None:
        super().__init__(**others)
        self.num_train, self.once = num_train, once

    def load(self) -> tuple[Mapping[str, Split], str]:
        """Reads and verifies the files, and keeps the first training images."""
        splits, sha256 = super().load()
        train = splits["train"]
        if not 0 < self.num_train <= len(train.targets):
            raise ValueError(f"num_train must be in 1..{len(train.targets)}, got {self.num_train}")
        few = Split(train.pool[: self.num_train], train.targets[: self.num_train])
        return {**splits, "train": few}, sha256

    def key(self, split: str, epoch: int = 0) -> int:
        """The key of a split's draws: one for all epochs of training, if it is distorted once."""
        return super().key(split, 0 if self.once else epoch)
