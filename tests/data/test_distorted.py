from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from torch.utils.data import DataLoader

from stn.configuration import CONF
from stn.data.distorted import DistortedMnist, configurations
from stn.running.preparing import build_data

NAMES = {"R": "mnist_r", "RTS": "mnist_rts", "P": "mnist_p", "E": "mnist_e", "TC": "mnist_tc"}
NAMES["textures"] = "mnist_textures"


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("distortion", NAMES)
def test_images_are_those_of_a_cell(distortion, split, make_cell, distorted_mnist) -> None:
    module = build_data(make_cell(f"data={NAMES[distortion]}", "seed=3"))
    loader = getattr(module, f"{split}_dataloader")()
    batches = list(distorted_mnist(distortion, split, seed=3).batches(64))
    assert len(batches) == len(loader)
    for batch, (images, labels) in zip(loader, batches, strict=True):
        wanted, wanted_labels = module.on_after_batch_transfer(batch, 0)
        assert torch.equal(images, wanted)
        assert torch.equal(labels, wanted_labels)


def test_a_loader_gives_the_same_as_single_samples_and_batches(distorted_mnist) -> None:
    train = distorted_mnist("RTS", "train", seed=1)
    assert len(train) == 512
    assert train.size == (42, 42)
    images, labels = next(iter(DataLoader(train, batch_size=32)))
    assert images.shape == (32, 1, 42, 42)
    for i in (0, 31):
        image, label = train[i]
        assert torch.equal(image, images[i])
        assert label == labels[i]
    assert torch.equal(train[-1][0], train[511][0])
    order = train.module.order("train")
    batch, batch_labels = next(train.batches(32))
    assert torch.equal(batch[5], train[int(order[5])][0])
    assert batch_labels[5] == train[int(order[5])][1]


def test_every_epoch_of_training_is_another_and_no_other_split(distorted_mnist) -> None:
    train, test = distorted_mnist("E", "train"), distorted_mnist("E", "test")
    before = [x.clone() for x in next(train.batches(64))], next(test.batches(64))
    first = train[0][0]
    for data in (train, test):
        data.epoch = 1
    assert not torch.equal(next(train.batches(64))[0], before[0][0])
    assert not torch.equal(train[0][0], first)
    assert torch.equal(next(test.batches(64))[0], before[1][0])
    train.epoch = 0
    assert torch.equal(next(train.batches(64))[0], before[0][0])


def test_training_batches_are_full_and_others_whole(distorted_mnist) -> None:
    sizes = [len(U) for U, _ in distorted_mnist("MNIST", "train").batches(100)]
    assert sizes == [100] * 5
    assert [len(U) for U, _ in distorted_mnist("MNIST", "test").batches(100)] == [100, 50]


def test_a_loop_over_the_samples_ends(distorted_mnist) -> None:
    assert sum(1 for _ in distorted_mnist("TC", "val")) == 128


def test_found_is_one_digit_an_image_as_hydra_composes_it(compose_train) -> None:
    found = configurations(CONF / "data")
    assert {
        "mnist",
        "mnist_textures",
        "mnist_rot12k",
        "mnist_sim2",
        *NAMES.values(),
    } == found.keys()
    for name, config in found.items():
        assert config == compose_train(f"data={name}").data


@pytest.mark.parametrize("defaults", ["[bars, _self_]", "[_self_, bars]", "[bars]"])
def test_a_folder_of_ones_own_inherits_in_itself_and_from_ours(
    defaults: str, tmp_path: Path
) -> None:
    own = f"defaults: {defaults}\nname: own\nlabel: mine\n"
    (tmp_path / "conf/data").mkdir(parents=True)
    (tmp_path / "conf/data/own.yaml").write_text(own)
    (tmp_path / "conf/data/bars.yaml").write_text("defaults: [mnist_r, _self_]\nname: bars\n")
    with initialize_config_dir(str(CONF), version_base="1.3"):
        search = f"hydra.searchpath=[{tmp_path}/conf]"
        wanted = {n: compose("train", [f"data={n}", search]).data for n in ("bars", "own")}
        # Hydra is in use here: the search is not in its way.
        assert configurations(tmp_path / "conf/data") == wanted
        assert GlobalHydra.instance().is_initialized()
    assert wanted["own"].label == ("mine" if defaults != "[_self_, bars]" else "R")


def test_the_mistakes_are_named(mnist_dir: Path) -> None:
    with pytest.raises(ValueError, match=r"no distortion 'RST'; there are .*\bRTS\b"):
        DistortedMnist("RST")
    with pytest.raises(ValueError, match="train, val or test, not 'valid'"):
        DistortedMnist("RTS", "valid")
