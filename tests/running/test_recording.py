from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from stn.callbacks.progress import Stopwatch
from stn.results.records import Record
from stn.running.preparing import Cell
from stn.running.recording import make_record

MakeCell = Callable[..., Cell]
STARTED = datetime(2015, 6, 5, 12, tzinfo=UTC)


def record_of(cell: Cell, status: str, stopwatch: Stopwatch, **fields: Any) -> Record:
    return make_record(
        config=cell.config,
        status=status,
        stopwatch=stopwatch,
        started_at=STARTED,
        run_id=cell.run_id,
        command=cell.command,
        num_params=1,
        data_sha256="5" * 64,
        **fields,
    )


@pytest.fixture
def stopwatch() -> Stopwatch:
    watch = Stopwatch("0123456789ab")
    watch.steps, watch.samples, watch.train_s = 7, 7 * 64, 0.35
    return watch


def test_a_record_tells_what_ran(make_cell: MakeCell, stopwatch: Stopwatch) -> None:
    cell = make_cell("model=st_cnn", "transform=tps", "seed=3", "recipe.max_steps=7")
    record = record_of(
        cell, "finished", stopwatch, measured={"test_error_percent": 10.0, "num_test": 10.0}
    )
    assert (record.model, record.transform, record.data) == ("st_cnn", "tps", "mnist_r")
    assert (record.seed, record.steps, record.samples) == (3, 7, 7 * 64)
    assert (record.metrics, record.num_test) == ({"test_error_percent": 10.0}, 10)
    assert record.step_ms == pytest.approx(50)


def test_a_run_that_diverged_saw_what_it_came_to(make_cell: MakeCell, stopwatch: Stopwatch) -> None:
    record = record_of(make_cell("model=fcn"), "diverged", stopwatch, message="nan")
    assert (record.steps, record.samples) == (7, 7 * 64)
    assert (record.metrics, record.num_test) == ({}, None)


def test_a_network_without_transformer_has_no_transform(
    make_cell: MakeCell, stopwatch: Stopwatch
) -> None:
    cell = make_cell("model=cnn", "transform=tps")
    assert record_of(cell, "failed", stopwatch, message="why").transform is None


def test_the_papers_numbers_do_not_travel_with_a_run(
    make_cell: MakeCell, stopwatch: Stopwatch
) -> None:
    cell = make_cell("model=fcn", "+table=table1")
    assert "paper" in cell.config["table"]
    record = record_of(cell, "failed", stopwatch, message="why")
    assert "table" not in record.config
    assert record.config["recipe"] == cell.config["recipe"]


def test_what_it_was_made_with(make_cell: MakeCell, stopwatch: Stopwatch) -> None:
    record = record_of(make_cell("model=fcn"), "failed", stopwatch, message="why")
    assert record.code == stopwatch.code
    assert record.versions.keys() >= {"python", "torch", "pytorch-lightning"}
    assert record.device.endswith("thread(s)") or record.device.startswith("cuda")
    assert record.peak_rss_mib is not None
    assert record.peak_rss_mib > 50
    assert record.started_at == "2015-06-05T12:00:00+00:00"
    assert "/home" not in record.command


@pytest.mark.parametrize("after_s", [0, 90, 1_000_000])
def test_the_end_is_after_the_start_whatever_the_clock_was_set_to(
    make_cell: MakeCell, stopwatch: Stopwatch, after_s: int
) -> None:
    """The machine's clock is read once, at the start; here it is years behind by the end."""
    stopwatch._start -= after_s
    record = record_of(make_cell("model=fcn"), "failed", stopwatch, message="why")
    told = datetime.fromisoformat(record.finished_at) - datetime.fromisoformat(record.started_at)
    assert after_s <= told.total_seconds() <= after_s + 60
    assert told.total_seconds() <= record.wall_s + 1
