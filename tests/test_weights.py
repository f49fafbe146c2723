"""The published networks: small, nobody's machine in them, and as good as their records say."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import stn
from stn.callbacks.panels import read_panel
from stn.files.saved import load
from stn.pages.pictures import frames
from stn.results.records import read_record
from stn.running.cell import run_cell
from stn.running.preparing import Cell
from stn.running.restoring import evaluate

WEIGHTS = Path(__file__).parents[1] / "weights"
RESULTS = WEIGHTS.with_name("results")
PUBLISHED = sorted(path.parent for path in WEIGHTS.glob("*/result.json"))
MOST_MB = 26


def test_they_are_small_and_tell_nothing_of_a_machine() -> None:
    files = [
        path for path in WEIGHTS.rglob("*") if path.is_file() and "__pycache__" not in str(path)
    ]
    assert sum(path.stat().st_size for path in files) < MOST_MB * 1e6
    texts = [path for path in files if path.suffix in (".yaml", ".json")]
    assert len(texts) == 2 * len(PUBLISHED) > 0
    assert not [path for path in texts if "/" in str(load_folders(path))]


def load_folders(path: Path) -> list[str]:
    """Folders that a text names by a key: `data_dir: x` or `"data_dir": "x"`."""
    lines = path.read_text().splitlines()
    return [line.split(":", 1)[1] for line in lines if "_dir" in line.split(":")[0]]


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda path: path.name)
def test_each_loads_as_a_run_does(folder: Path) -> None:
    record = read_record(folder / "result.json")
    network = stn.load(folder)
    assert record.run_id == folder.name
    assert sum(p.numel() for p in network.parameters()) == record.num_params
    assert all(p.dtype == torch.float32 for p in network.parameters())


@pytest.mark.parametrize("folder", PUBLISHED, ids=lambda path: path.name)
def test_each_is_the_run_that_the_table_shows(folder: Path) -> None:
    record = read_record(folder / "result.json")
    shown = [read_record(path).metrics for path in RESULTS.glob(f"*/*/{folder.name}.json")]
    assert shown
    assert all(record.metrics.items() <= metrics.items() for metrics in shown)  # studies have more


@pytest.mark.parametrize(
    ("is_rough", "model"),
    [(False, ["model=st_fcn", "transform=affine"]), (True, ["model=fcn"])],
    ids=["halved", "kept"],
)
def test_weights_are_halved_where_the_error_stays(
    make_cell: Callable[..., Cell],
    mnist_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_rough: bool,
    model: list[str],
) -> None:
    spec = importlib.util.spec_from_file_location("publish", WEIGHTS / "publish.py")
    assert spec is not None
    assert spec.loader is not None
    publish = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(publish)
    cell = make_cell(*model, "data=mnist_r")
    run_cell(cell)
    if is_rough:  # half precision would change classes
        monkeypatch.setattr(Tensor, "half", lambda weight: (0 * weight).to(torch.float16))
    monkeypatch.setattr(publish, "HERE", tmp_path / "weights")
    monkeypatch.setattr(sys, "argv", ["publish.py", str(cell.folder)])
    (tmp_path / "weights").mkdir()
    publish.main()
    published = tmp_path / "weights" / cell.folder.name
    kinds = {weight.dtype for weight in load(published / "weights.pt").values()}
    assert kinds == {torch.float32 if is_rough else torch.float16}
    assert all(now == recorded for now, recorded in evaluate(published, mnist_dir).values())
    assert (published / "metrics.csv").read_bytes() == (cell.folder / "metrics.csv").read_bytes()
    panels = [path.name for path in sorted(published.glob("panels/*"))]
    assert panels == [path.name for path in frames(cell.folder / "panels")]
    assert bool(panels) != is_rough  # an FCN has no transformer to draw
    for name in panels:
        (ours, *told), (theirs, *wanted) = (
            read_panel(folder / "panels" / name) for folder in (published, cell.folder)
        )
        assert told == wanted
        difference = np.abs(np.asarray(ours, float) - np.asarray(theirs, float))
        assert difference.mean() < 2  # of 255
    assert str(tmp_path) not in (published / "config.yaml").read_text()
