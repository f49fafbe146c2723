from pathlib import Path

import torch

from stn.data.distortions import Rotate
from stn.data.mnist import MnistDataModule
from stn.data.same_order import SameOrderMnistDataModule


def test_every_seed_sees_the_images_of_seed_0(mnist_dir: Path) -> None:
    def batch(kind: type[MnistDataModule], seed: int) -> list[torch.Tensor]:
        others = {"num_val": 128, "batch_size": 16, "data_seed": 0, "data_dir": mnist_dir}
        data = kind(seed=seed, distortion=Rotate(max_deg=90, size=[28, 28]), **others)
        numbers = data.order("train", epoch=2)
        return [numbers, *data.drawn("train", numbers[:16], epoch=2)]

    wanted = batch(MnistDataModule, 0)
    for seed in (0, 3):
        for found, expected in zip(batch(SameOrderMnistDataModule, seed), wanted, strict=True):
            assert torch.equal(found, expected)
    assert not torch.equal(batch(MnistDataModule, 3)[0], wanted[0])
