from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from stn.data.distortions import Clutter, Rotate
from stn.data.mnist import DividedMnistDataModule, FewMnistDataModule, MnistDataModule
from stn.running.preparing import Cell
from tests.data.test_contract import check_contract

BATCH = 64


def module(data_dir: Path | None, **changes: object) -> MnistDataModule:
    arguments = {
        "distortion": Rotate(max_deg=90, size=(28, 28)),
        "batch_size": BATCH,
        "num_val": 100,
        "seed": 3,
        "data_seed": 0,
        "data_dir": data_dir,
    }
    return MnistDataModule(**(arguments | changes))  # type: ignore[arg-type]


class Recorder(pl.LightningModule):
    """Keeps every batch that reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(28 * 28, 10)
        self.seen: dict[str, list[tuple[Tensor, Tensor]]] = {"train": [], "val": [], "test": []}

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        self.seen["train"].append(batch)
        return nn.functional.cross_entropy(self.layer(batch[0].flatten(1)), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        self.seen["val"].append(batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.seen["test"].append(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def trainer(folder: Path, max_epochs: int, **changes: object) -> pl.Trainer:
    arguments = {
        "default_root_dir": folder,
        "accelerator": "cpu",
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "reload_dataloaders_every_n_epochs": 1,
    }
    return pl.Trainer(max_epochs=max_epochs, **(arguments | changes))  # type: ignore[arg-type]


def same(left: list[tuple[Tensor, Tensor]], right: list[tuple[Tensor, Tensor]]) -> bool:
    return len(left) == len(right) and all(
        torch.equal(a, b)
        for one, other in zip(left, right, strict=True)
        for a, b in zip(one, other, strict=True)
    )


@pytest.mark.filterwarnings("ignore")
def test_the_trainer_takes_the_loaders_and_epochs_differ(mnist_dir, tmp_path):
    task = Recorder()
    runner = trainer(tmp_path, max_epochs=2)
    runner.fit(task, module(mnist_dir))
    runner.test(task, module(mnist_dir), verbose=False)
    (first, second) = task.seen["train"][:8], task.seen["train"][8:]
    assert len(first) == len(second) == (640 - 100) // BATCH
    images, labels = first[0]
    assert images.shape == (BATCH, 1, 28, 28)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert not any(torch.equal(a[0], b[0]) for a, b in zip(first, second, strict=True))
    assert same(task.seen["val"][:2], task.seen["val"][2:])
    assert [len(labels) for _, labels in task.seen["val"]] == [64, 36] * 2
    assert [len(labels) for _, labels in task.seen["test"]] == [64, 64, 22]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("every_n_epochs", [0, 1])
def test_a_resumed_run_sees_what_an_uninterrupted_one_sees(mnist_dir, tmp_path, every_n_epochs):
    often = {"reload_dataloaders_every_n_epochs": every_n_epochs}
    whole, before, after = Recorder(), Recorder(), Recorder()
    trainer(tmp_path / "whole", max_epochs=3, **often).fit(whole, module(mnist_dir))
    trainer(tmp_path / "part", max_epochs=1, **often).fit(before, module(mnist_dir))
    (checkpoint,) = tmp_path.glob("part/**/*.ckpt")
    trainer(tmp_path / "rest", max_epochs=3, **often).fit(
        after, module(mnist_dir), ckpt_path=checkpoint, weights_only=True
    )
    assert same(before.seen["train"] + after.seen["train"], whole.seen["train"])


@pytest.mark.filterwarnings("ignore")
def test_fast_dev_run(mnist_dir, tmp_path):
    trainer(tmp_path, max_epochs=1, fast_dev_run=True).fit(Recorder(), module(mnist_dir))


def test_the_splits_are_the_official_ones_and_validation_is_the_end_of_training(mnist_dir):
    data = module(mnist_dir)
    data.setup()
    train, val, test = (data._splits[name] for name in ("train", "val", "test"))
    assert [len(split.targets) for split in (train, val, test)] == [540, 100, 150]
    assert train.pool.dtype == torch.uint8
    loaded = torch.cat([batch.numbers for batch in data.val_dataloader()])
    assert torch.equal(loaded, torch.arange(100))


def test_an_epoch_takes_every_sample_at_most_once(mnist_dir):
    loader = module(mnist_dir).train_dataloader()
    numbers = torch.cat([batch.numbers for batch in loader])
    assert len(loader) == len(list(loader)) == 8
    assert len(numbers.unique()) == len(numbers) == 8 * BATCH


def drawn(data: MnistDataModule) -> tuple[Tensor, Tensor]:
    return data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)


def test_the_seed_changes_training_and_the_data_seed_the_rest(mnist_dir):
    base, seed, data_seed = (
        module(mnist_dir, **change) for change in ({}, {"seed": 4}, {"data_seed": 1})
    )
    assert torch.equal(drawn(base)[0], drawn(data_seed)[0])
    assert not torch.equal(drawn(base)[0], drawn(seed)[0])
    assert torch.equal(base.panel_batch(10)[0], seed.panel_batch(10)[0])
    assert not torch.equal(base.panel_batch(10)[0], data_seed.panel_batch(10)[0])


class Rank:
    """What a loader asks of a trainer."""

    current_epoch = 2

    def __init__(self, global_rank: int, world_size: int) -> None:
        self.global_rank, self.world_size = global_rank, world_size


@pytest.mark.parametrize("loader", ["train_dataloader", "val_dataloader", "test_dataloader"])
@pytest.mark.parametrize(
    "distortion",
    [
        Rotate(max_deg=90, size=(28, 28)),
        Clutter(num_patches=6, patch_px=6, overlap="add", size=(60, 60)),
    ],
)
def test_ranks_share_the_batches_of_one_process(mnist_dir, loader, distortion):
    def batches(rank: int, world_size: int) -> list[tuple[Tensor, Tensor]]:
        data = module(mnist_dir, distortion=distortion)
        data.trainer = Rank(rank, world_size)  # type: ignore[assignment]
        return [data.on_after_batch_transfer(batch, 0) for batch in getattr(data, loader)()]

    whole = batches(0, 1)
    world_size = 4 if loader == "train_dataloader" else 3  # of training, one that divides batches
    shares = [batches(rank, world_size) for rank in range(world_size)]
    assert all(len(share) == len(whole) for share in shares)
    for batch, *parts in zip(whole, *shares, strict=True):
        torch.testing.assert_close(torch.cat([images for images, _ in parts]), batch[0])
        assert torch.equal(torch.cat([labels for _, labels in parts]), batch[1])


def test_a_batch_that_the_ranks_cannot_share_is_refused(mnist_dir):
    data = module(mnist_dir)
    data.trainer = Rank(0, 3)  # type: ignore[assignment]
    with pytest.raises(ValueError, match="64 is not divisible by 3"):
        data.train_dataloader()


def test_the_panel_has_one_of_each_class_then_the_next(mnist_dir):
    data = module(mnist_dir)
    images, labels = data.panel_batch(14)
    assert labels.tolist() == [*range(10), 0, 1, 2, 3]
    val = [data.on_after_batch_transfer(batch, 0) for batch in data.val_dataloader()]
    val_images, val_labels = (torch.cat(parts) for parts in zip(*val, strict=True))
    for label in range(4):
        own = val_images[val_labels == label]
        torch.testing.assert_close(images[label], own[0])
        torch.testing.assert_close(images[label + 10], own[1])


@pytest.mark.parametrize("num_val", [0, -1, 640, 5000])
def test_a_validation_set_of_nothing_or_everything_is_refused(mnist_dir, num_val):
    with pytest.raises(ValueError, match=r"num_val must be in 1\.\.639"):
        module(mnist_dir, num_val=num_val).setup()


@pytest.mark.parametrize("batch_size", [0, 541])
def test_an_impossible_batch_size_is_refused(mnist_dir, batch_size):
    with pytest.raises(ValueError, match="batch_size"):
        module(mnist_dir, batch_size=batch_size).setup()


def test_the_checksum_is_that_of_the_data(mnist_dir):
    digest = module(mnist_dir).data_sha256()
    assert digest == module(mnist_dir, seed=9).data_sha256()
    assert len(bytes.fromhex(digest)) == 32


def divided(data_dir: Path, **changes: int) -> DividedMnistDataModule:
    sizes = {"num_train": 300, "num_val": 100, "num_test": 150} | changes
    whole = module(data_dir)
    others = {"batch_size": BATCH, "seed": 3, "data_seed": 0, "data_dir": data_dir}
    return DividedMnistDataModule(**sizes, **others, distortion=whole.distortion)


def test_a_division_takes_every_digit_once_and_does_not_depend_on_the_seed(mnist_dir):
    whole, parts = module(mnist_dir), divided(mnist_dir)
    whole.setup()
    parts.setup()
    names = ("train", "val", "test")
    there, taken = (
        Counter(
            (digit.numpy().tobytes(), int(target))
            for name in names
            for digit, target in zip(*data._splits[name], strict=True)
        )
        for data in (whole, parts)
    )
    assert taken <= there  # counted: images of one look are as many as there are
    assert [len(parts._splits[name].targets) for name in names] == [300, 100, 150]
    everything = divided(mnist_dir, num_train=540)
    everything.setup()
    assert sum(len(everything._splits[name].targets) for name in names) == there.total()
    again = divided(mnist_dir)
    again.seed = 4
    again.setup()
    assert torch.equal(again._splits["test"].pool, parts._splits["test"].pool)


@pytest.mark.parametrize("changes", [{"num_test": 10_000}, {"num_val": 0}])
def test_a_division_of_more_digits_than_there_are_is_refused(mnist_dir, changes):
    with pytest.raises(ValueError, match="num_train, num_val and num_test must be positive"):
        divided(mnist_dir, **changes).setup()


COLUMNS = ("mnist", "mnist_r", "mnist_rts", "mnist_p", "mnist_e", "mnist_tc")


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_keeps_the_contract(name: str, make_cell: Callable[..., Cell]) -> None:
    check_contract(make_cell("model=fcn", f"data={name}"))


class TestFew:
    def make(self, mnist_dir: Path, num_train: int = 100, once: bool = True, seed: int = 0):
        distortion = Rotate(max_deg=90, size=[28, 28])
        return FewMnistDataModule(
            num_train,
            once,
            distortion=distortion,
            num_val=128,
            batch_size=16,
            seed=seed,
            data_seed=0,
            data_dir=mnist_dir,
        )

    def test_only_the_first_training_images_are_left(self, mnist_dir: Path) -> None:
        few, more = self.make(mnist_dir), self.make(mnist_dir, 300)
        assert few.count_images() == {"train": 100, "val": 128, "test": 150}
        numbers = torch.arange(100)
        for ours, theirs in zip(
            few.drawn("train", numbers), more.drawn("train", numbers), strict=True
        ):
            assert torch.equal(ours, theirs)
        whole = MnistDataModule(few.distortion, 128, 16, 0, 0, mnist_dir)
        assert torch.equal(few.drawn("test", numbers)[0], whole.drawn("test", numbers)[0])
        assert torch.equal(few.drawn("train", numbers)[0], whole.drawn("train", numbers)[0])

    def test_once_is_the_same_in_every_epoch_and_another_for_another_seed(
        self, mnist_dir: Path
    ) -> None:
        numbers = torch.arange(20)
        once, anew = self.make(mnist_dir), self.make(mnist_dir, once=False)
        first = once.drawn("train", numbers, epoch=0)[0]
        assert torch.equal(first, once.drawn("train", numbers, epoch=3)[0])
        assert torch.equal(first, anew.drawn("train", numbers, epoch=0)[0])
        assert not torch.equal(first, anew.drawn("train", numbers, epoch=3)[0])
        assert not torch.equal(first, self.make(mnist_dir, seed=1).drawn("train", numbers)[0])
        assert not torch.equal(once.order("train", 0), once.order("train", 1))

    @pytest.mark.parametrize("num_train", [0, 513])
    def test_more_images_than_there_are_cannot_be(self, mnist_dir: Path, num_train: int) -> None:
        with pytest.raises(ValueError, match=r"num_train must be in 1\.\.512"):
            self.make(mnist_dir, num_train).setup()
