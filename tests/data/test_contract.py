"""What holds of the data module of every cell; a new data set is covered by one call."""

from collections.abc import Callable
from itertools import islice

import pytest
import torch

from stn.data.contract import CellData
from stn.running.preparing import Cell, build_data


def check_contract(cell: Cell) -> None:
    """Check the data module of a cell against `stn.data.contract` and its configuration."""
    config = cell.config["data"]
    shape = (config["channels"], *config["image_size"])
    data, again = build_data(cell), build_data(cell)
    assert isinstance(data, CellData)
    data.prepare_data()
    num = min(12, again.count_images()["val"])
    U, targets = data.panel_batch(12)  # before `setup`
    assert U.shape == (num, *shape)
    assert U.dtype == torch.float32
    assert len(targets) == num
    for split in ("train", "val", "test"):
        loader = getattr(data, f"{split}_dataloader")()
        assert len(loader) > 0
        U, targets = data.on_after_batch_transfer(next(iter(loader)), 0)
        assert U.shape[1:] == shape
        assert len(U) == len(targets)
        assert targets.max() < config["num_classes"]
        torch.rand(3)  # history must not matter
        same, _ = again.on_after_batch_transfer(
            next(iter(getattr(again, f"{split}_dataloader")())), 0
        )
        assert torch.equal(U, same)
    batches = [len(batch[0]) for batch in islice(data.train_dataloader(), 3)]
    assert set(batches) == {cell.config["recipe"]["batch_size"]}
    counted = data.count_images()
    for split in ("val", "test"):
        loader = getattr(data, f"{split}_dataloader")()
        assert counted[split] == sum(len(batch[0]) for batch in loader)
    assert counted["train"] >= cell.config["recipe"]["batch_size"] * len(data.train_dataloader())
    digest = data.data_sha256()
    assert len(bytes.fromhex(digest)) == 32
    assert digest == again.data_sha256()


def test_a_data_module_of_ones_own_keeps_the_contract(make_cell: Callable[..., Cell]) -> None:
    target = "data.module._target_=tests.small_mnist.SmallMnist"
    cell = make_cell("model=fcn", target, "packages=[tests]")
    check_contract(Cell(cell.config, cell.run_id, cell.command, ("tests",)))


@pytest.mark.parametrize("setting", ["batch_size=32", "seed=-4", "data_dir=elsewhere"])
def test_what_is_the_cells_is_not_the_data_modules(
    make_cell: Callable[..., Cell], setting: str
) -> None:
    cell = make_cell("model=fcn", f"+data.module.{setting}")
    with pytest.raises(ValueError, match=f"{setting.partition('=')[0]} is the cell's"):
        build_data(cell)
