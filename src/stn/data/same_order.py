"""MNIST under a distortion, the same images in the same order for every seed."""

from typing import Any

from stn.data.mnist import MnistDataModule


class SameOrderMnistDataModule(MnistDataModule):
    """An `MnistDataModule` of seed 0, whatever the run's, so that runs differ by their start alone.

    Args:
        seed: decides nothing here.
        others: as in `MnistDataModule`.
    """

    def __init__(self, seed: int, **others: Any) -> None:
        super().__init__(seed=0, **others)
