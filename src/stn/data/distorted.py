"""The distorted digits in a loop of one's own: a torch Dataset, and an iterator of whole batches.

As in ::

    from stn.data.distorted import DistortedMnist
    train, test = DistortedMnist("RTS", "train"), DistortedMnist("RTS", "test")

Images and labels are those that the cells of this project train on and are tested on, bit for bit.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from torch.utils.data import Dataset

from stn.configuration import CONF, folder
from stn.data.pool import PoolDataModule


class DistortedMnist(Dataset[tuple[Tensor, int]]):
    """Digits under a distortion: sample i is an image (1, H, W) in [0, 1] and its class.

    A `DataLoader` draws a batch at a time, as `batches` does without one. Training images are drawn
    anew in every epoch: set `epoch` before each, or leave it, and they stay as they are.

    Attributes:
        epoch: of training, from 0 up.
        size: (H, W) of the images.

    Args:
        distortion: R, RTS, P, E, TC, MNIST, or another label or name of a configuration, such as
            `mnist_rts`.
        split: "train", "val" (held out of the training images) or "test".
        seed: of the training images.
        data_dir: the folder with `mnist/`; None for `STN_DATA_DIR`, or else `data`. What is missing
            is fetched.

    Raises:
        ValueError: there is no such distortion, or no such split.
        DataError: the digits are missing or damaged.
    """

    def __init__(
        self,
        distortion: str,
        split: str = "train",
        seed: int = 0,
        data_dir: str | Path | None = None,
    ) -> None:
        if split not in ("train", "val", "test"):
            raise ValueError(f"split must be train, val or test, not {split!r}")
        named = configurations(CONF / "data")
        labelled = {config.label: config for config in named.values()}
        if distortion not in named | labelled:
            raise ValueError(
                f"there is no distortion {distortion!r}; there are {', '.join(labelled)}"
            )
        config = (named | labelled)[distortion]
        self.module: PoolDataModule = instantiate(
            OmegaConf.to_container(config.module, resolve=True),
            batch_size=1,
            seed=seed,
            data_dir=folder("STN_DATA_DIR", "data") if data_dir is None else data_dir,
        )
        self.module.prepare_data()
        self.module.setup()
        self.split, self.epoch = split, 0
        self.size = (*config.image_size,)

    def __len__(self) -> int:
        return len(self.module.order(self.split))

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if not -len(self) <= index < len(self):
            raise IndexError(index)  # which ends a loop over the samples
        return self.__getitems__([index % len(self)])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, int]]:
        """Draw samples together: what a `DataLoader` asks for a batch."""
        images, labels = self.module.drawn(self.split, torch.as_tensor(indices), self.epoch)
        return list(zip(images, labels.tolist(), strict=True))

    def batches(
        self, batch_size: int, device: torch.device | str = "cpu"
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Draw the images (B, 1, H, W) and classes (B,) of an epoch on a device, batch by batch.

        Training images come in an order of the epoch's, and full batches only; validation and test
        images in order, and all of them.
        """
        for numbers in self.module.order(self.split, self.epoch).split(batch_size):
            if self.split != "train" or len(numbers) == batch_size:
                yield self.module.drawn(self.split, numbers, self.epoch, device)


def configurations(place: Path) -> dict[str, DictConfig]:
    """Find the data sets of a folder that are MNIST under a distortion, one digit an image.

    By name of the file; what a file inherits from others, there or of this project, is merged. The
    task and the recipe that it brings to a cell are left out.
    """
    composed = {path.stem: _composed(path) for path in sorted(place.glob("*.yaml"))}
    found = {name: OmegaConf.create({"data": own}).data for name, own in composed.items()}
    return {
        name: config
        for name, config in found.items()
        if OmegaConf.select(config, "module.distortion") and config.channels == 1
    }


def _composed(path: Path) -> DictConfig:
    """Merge a data configuration with those that its `defaults` name, as Hydra does."""
    own: Any = OmegaConf.load(path if path.exists() else CONF / "data" / path.name)
    names = [name for name in own.pop("defaults", []) if isinstance(name, str)]
    if "_self_" not in names:
        names.append("_self_")
    parts = [own if n == "_self_" else _composed(path.with_name(f"{n}.yaml")) for n in names]
    merged: Any = OmegaConf.merge(*parts)
    return merged
