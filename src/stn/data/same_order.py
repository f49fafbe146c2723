"""MNIST under a distortion, the same images in the same order for every seed."""

from pathlib import Path

from stn.data.distortions import Distortion
from stn.data.mnist import MnistDataModule


class SameOrderMnistDataModule(MnistDataModule):
    """An `MnistDataModule` of seed 0, whatever the run's, so that runs differ by their start alone.

    Args:
        distortion, num_val, batch_size, seed, data_seed, data_dir: as in `MnistDataModule`, but for
            `seed`, which decides nothing here.
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
        super().__init__(distortion, num_val, batch_size, 0, data_seed, data_dir)
