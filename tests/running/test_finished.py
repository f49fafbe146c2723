from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from stn.results.records import read_record
from stn.running.cell import run_cell
from stn.running.checkpoints import save
from stn.running.finished import evaluate, restore
from stn.running.preparing import Cell

MakeCell = Callable[..., Cell]


def test_evaluate_gives_the_recorded_error_exactly(make_cell: MakeCell, mnist_dir: Path) -> None:
    cell = make_cell("model=st_fcn")
    run_cell(cell)
    outcome = evaluate(cell.folder, mnist_dir)
    recorded = read_record(cell.folder / "result.json").metrics["test_error_percent"]
    assert outcome == {"test_error_percent": (recorded, recorded), "num_test": (150, 150)}


def test_damaged_weights_are_named_and_never_tested(make_cell: MakeCell, mnist_dir: Path) -> None:
    cell = make_cell("model=fcn", "recipe.max_steps=2")
    run_cell(cell)
    weights = cell.folder / "weights.pt"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1  # torch alone would load it
    weights.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights\.pt is damaged \(wrong checksum"):
        restore(cell.folder, mnist_dir)
    weights.write_bytes(content[:1000])
    with pytest.raises(ValueError, match=r"weights\.pt is damaged"):
        restore(cell.folder, mnist_dir)
    save({"weight": torch.zeros(3)}, weights)
    with pytest.raises(ValueError, match=r"weights\.pt and config\.yaml in .* do not fit"):
        restore(cell.folder, mnist_dir)
    (cell.folder / "config.yaml").write_text("data: {}")
    with pytest.raises(ValueError, match=r"config\.yaml is not the configuration of a run"):
        restore(cell.folder, mnist_dir)
    (cell.folder / "config.yaml").write_text("data: [")
    with pytest.raises(ValueError, match=r"config\.yaml is damaged"):
        restore(cell.folder, mnist_dir)
    (cell.folder / "config.yaml").write_text("")
    with pytest.raises(ValueError, match=r"config\.yaml is not the configuration of a run"):
        restore(cell.folder, mnist_dir)
    with pytest.raises(ValueError, match="is not a finished run: it has no"):
        restore(cell.folder.parent, mnist_dir)
