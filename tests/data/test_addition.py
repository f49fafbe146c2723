from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from stn.data.addition import AdditionDataModule
from stn.data.distortions import Rotate, RotateTranslateScale
from stn.data.mnist import MnistDataModule
from stn.running.preparing import Cell
from tests.data.test_contract import check_contract

STILL = Rotate(max_deg=0, size=(28, 28))  # digits stay as they are, and can be recognised


def module(data_dir: Path, kind=AdditionDataModule, **changes: object) -> MnistDataModule:
    arguments = {"distortion": STILL, "batch_size": 16, "num_val": 100, "seed": 3, "data_seed": 0}
    return kind(**(arguments | changes), data_dir=data_dir)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_class_is_the_sum_of_two_digits_of_the_split(mnist_dir: Path, split: str) -> None:
    data = module(mnist_dir)
    U, sums = data.drawn(split, torch.arange(60))
    pool, labels = data._splits[split]
    digits = pool.flatten(1).float() / 255
    found = []
    for channel in (0, 1):
        far = torch.cdist(U[:, channel].flatten(1), digits)
        assert far.amin(1).max() < 1e-2
        found.append(labels[far.argmin(1)])
    assert torch.equal(found[0] + found[1], sums)
    assert torch.equal(found[0], labels[:60])
    assert len({*found[1].tolist()}) == 10


def test_each_channel_is_distorted_on_its_own(mnist_dir: Path) -> None:
    distortion = RotateTranslateScale(max_deg=45, scale_range=(0.7, 1.2), size=(42, 42))
    data, plain = (
        module(mnist_dir, kind, distortion=distortion)
        for kind in (AdditionDataModule, MnistDataModule)
    )
    numbers = torch.arange(30)
    U, _ = data.drawn("train", numbers, epoch=2)
    assert torch.equal(U[:, :1], plain.drawn("train", numbers, epoch=2)[0])
    assert not torch.equal(U[:, 1], data.drawn("train", numbers, epoch=3)[0][:, 1])
    assert torch.equal(U, data.drawn("train", numbers, epoch=2)[0])


def test_a_sample_is_the_same_whatever_its_batch(mnist_dir: Path) -> None:
    data = module(mnist_dir)
    U, sums = data.drawn("val", torch.arange(40))
    few, few_sums = data.drawn("val", torch.tensor([31, 7]))
    assert torch.equal(few, U[[31, 7]])
    assert torch.equal(few_sums, sums[[31, 7]])


def test_it_is_a_data_module_for_cells(make_cell: Callable[..., Cell]) -> None:
    check_contract(make_cell("data=addition"))
