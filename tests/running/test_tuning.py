from collections.abc import Callable

import pytest

from stn.data.mnist import MnistDataModule
from stn.running.cell import run_cell
from stn.running.preparing import Cell
from stn.running.tuning import run_trial


def test_a_trial_never_asks_for_the_test_set(
    make_cell: Callable[..., Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = make_cell("model=fcn")

    def refuse(self: MnistDataModule) -> None:
        raise AssertionError("the test set was asked for")

    with monkeypatch.context() as patch:
        patch.setattr(MnistDataModule, "test_dataloader", refuse)
        error_percent = run_trial(cell)
    assert not cell.folder.exists()
    trial = cell.folder.parent / "tuning" / cell.run_id
    assert "test_error" not in (trial / "metrics.csv").read_text()
    assert not (trial / "result.json").exists()
    assert run_cell(cell).metrics["val_error_percent"] == error_percent
