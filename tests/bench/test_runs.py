from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from stn.bench.report import found
from stn.bench.runs import NUM_CELLS, RECORDS, TABLE_DATA, cost_to_reach, measure, spread_of_tables
from stn.results.collect import collect
from stn.results.records import Record

ROOT = Path(__file__).parents[2]


@pytest.fixture
def record() -> Record:
    """A committed one of ST-CNN affine on R, to be changed."""
    records = collect(ROOT / RECORDS / "quick").records
    return next(r for r in records if (r.transform, r.data) == ("affine", "mnist_r"))


def runs(record: Record, **fields) -> Record:
    return replace(record, model="st_cnn", transform="affine", overrides=(), **fields)


def test_a_table_takes_half_of_its_cells_on_two_cores(record: Record) -> None:
    cells = [
        runs(record, data=data, run_id=f"{data}-{i}-0123456789", cpu_s=60.0, seed=3)
        for data, i in product(TABLE_DATA, range(NUM_CELLS // len(TABLE_DATA)))
    ]
    assert spread_of_tables(cells).median == NUM_CELLS / 2
    assert spread_of_tables(cells[1:]) is None
    timed_by_the_watch = [replace(cell, cpu_s=None, wall_s=120.0) for cell in cells]
    assert spread_of_tables(timed_by_the_watch).median == NUM_CELLS


def test_an_error_is_reached_by_the_mean_over_seeds(record: Record) -> None:
    seeds = [
        runs(record, recipe="fast", seed=seed, test_error_percent=error, cpu_s=600.0)
        for seed, error in enumerate((0.6, 0.9))
    ]
    assert cost_to_reach(seeds, "mnist_r", 0.7) is None
    assert cost_to_reach(seeds, "mnist_r", 0.75).median == 10
    cheaper = runs(record, recipe="faster", test_error_percent=0.7, cpu_s=60.0)
    assert cost_to_reach([*seeds, cheaper], "mnist_r", 0.75).median == 1


def test_what_is_not_reached_is_said(tmp_path: Path) -> None:
    section = measure(1, tmp_path)
    assert not found([section])
    assert len(section.left_out) == 2
