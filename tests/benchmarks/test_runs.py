from itertools import product
from pathlib import Path

import pytest

from benchmarks.report import found
from benchmarks.runs import (
    NUM_CELLS,
    PAPERS_ERROR,
    RECORDS,
    TABLE_DATA,
    measure,
    reached,
    spread_of_tables,
)
from stn.results.collect import collect
from stn.results.records import Record, write_record


@pytest.fixture
def record() -> Record:
    """A committed one of ST-CNN affine on R, to be changed."""
    records = collect(RECORDS / "quick").records
    return next(r for r in records if (r.transform, r.data) == ("affine", "mnist_r"))


def errors(percent: float) -> dict[str, float]:
    return {"test_error_percent": percent}


def runs(record: Record, **fields) -> Record:
    return record.model_copy(update={"model": "st_cnn", "transform": "affine", **fields})


def test_a_table_takes_half_of_its_cells_on_two_cores(record: Record) -> None:
    cells = [
        runs(record, data=data, run_id=f"{data}-{i}-0123456789", cpu_s=60.0, seed=3)
        for data, i in product(TABLE_DATA, range(NUM_CELLS // len(TABLE_DATA)))
    ]
    assert spread_of_tables(cells).median == NUM_CELLS / 2
    assert spread_of_tables(cells[1:]) is None
    timed_by_the_watch = [
        cell.model_copy(update={"cpu_s": None, "wall_s": 120.0}) for cell in cells
    ]
    assert spread_of_tables(timed_by_the_watch).median == NUM_CELLS


@pytest.fixture
def folder(tmp_path: Path, record: Record) -> Path:
    """Two recipes on R, one of them with two seeds."""
    fast = [
        runs(record, recipe="fast", seed=seed, metrics=errors(error), cpu_s=600.0)
        for seed, error in enumerate((0.6, 0.9))
    ]
    cheap = runs(record, recipe="cheap", metrics=errors(0.8), cpu_s=60.0)
    for number, run in enumerate([*fast, cheap]):
        run_id = f"st_cnn-affine-mnist_r-{run.recipe}-s{number}-0123456789"
        run = run.model_copy(update={"run_id": run_id})
        write_record(tmp_path / f"{run.run_id}.json", run)
    return tmp_path


def test_an_error_is_reached_by_the_mean_over_seeds(folder: Path) -> None:
    cheap, fast = reached(collect(folder).records, "mnist_r")
    assert (cheap.recipe, cheap.error_percent, cheap.minutes.median, cheap.n) == (
        "cheap",
        0.8,
        1,
        1,
    )
    assert (fast.recipe, fast.error_percent, fast.minutes.median, fast.n) == ("fast", 0.75, 10, 2)


def test_the_cheapest_recipe_counts_and_else_the_nearest_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error_percent, minutes in ((0.8, 1), (0.75, 10)):
        monkeypatch.setitem(PAPERS_ERROR, "st_cnn_r", ("mnist_r", error_percent))
        assert found([measure(1, folder)])["runs", "st_cnn_r", "min"].median == minutes
    monkeypatch.setitem(PAPERS_ERROR, "st_cnn_r", ("mnist_r", 0.7))
    on_r, on_rts = measure(1, folder).left_out
    assert on_r.endswith("nearest is fast, 0.75 % after 10.0 minutes (n = 2)")
    assert on_rts.endswith("there is no record")


def test_without_records_nothing_is_found(tmp_path: Path) -> None:
    section = measure(1, tmp_path)
    assert not found([section])
    assert len(section.left_out) == 2
