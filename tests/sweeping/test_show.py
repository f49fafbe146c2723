import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from stn.results.records import Record, read_record, write_record
from stn.results.table import PlannedRun
from stn.running.cell import run_cell
from stn.running.preparing import Cell
from stn.sweeping.show import SweepDisplay, shown
from stn.tasks.task import DivergedError


def display_of(cells: list[Cell], **kwargs: Any) -> tuple[SweepDisplay, io.StringIO]:
    out = io.StringIO()
    jobs = [PlannedRun(cell.run_id) for cell in cells]
    console = Console(file=out, width=200, **kwargs)
    return SweepDisplay(jobs, cells[0].folder.parent, "Table 0", console), out


def test_a_line_for_each_cell_that_ends(make_cell: Callable[..., Cell]) -> None:
    good, bad = make_cell("model=fcn"), make_cell("model=fcn", "recipe.optimizer.lr=1e30")
    display, out = display_of([good, bad])
    with display.shown():
        run_cell(good)
        with pytest.raises(DivergedError):
            run_cell(bad)
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert any(f"{good.run_id}: test error" in line for line in lines)
    assert any(f"{bad.run_id}: diverged: DivergedError" in line for line in lines)
    assert lines[0].startswith("[1/2]")
    assert lines[1].startswith("[2/2]")


def test_a_terminal_shows_the_running_cells(tmp_path: Path, make_cell: Callable[..., Cell]) -> None:
    cell = make_cell("model=fcn")
    display, out = display_of([cell], force_terminal=True)
    cell.folder.mkdir(parents=True)
    state = {"step": 3, "max_steps": 20, "metric": "val_error_percent", "value": 12.345}
    (cell.folder / "progress.json").write_text(json.dumps(state))
    with display.shown():
        display.poll()
    assert "3/20" in out.getvalue()
    assert "val error 12.35 %" in out.getvalue()


def test_a_record_that_cannot_be_read_is_said_so(make_cell: Callable[..., Cell]) -> None:
    cell = make_cell("model=fcn")
    display, out = display_of([cell])
    cell.folder.mkdir(parents=True)
    (cell.folder / "result.json").write_text("{")
    display.poll()
    assert "its record cannot be read" in out.getvalue()


def test_brackets_in_a_message_and_a_torn_file_do_not_stop_the_display(
    make_cell: Callable[..., Cell],
) -> None:
    cell, other = make_cell("model=fcn", "recipe.optimizer.lr=1e30"), make_cell("model=fcn")
    display, out = display_of([cell, other])
    for folder in (cell.folder, other.folder):
        folder.mkdir(parents=True)
        (folder / "progress.json").write_text("")
    display.poll()
    with pytest.raises(DivergedError):
        run_cell(cell)
    record = read_record(cell.folder / "result.json")
    message = "[enforce fail at alloc_cpu.cpp:117] and [/gloo/pair.cc:553] Connection closed"
    write_record(cell.folder / "result.json", Record(**{**vars(record), "message": message}))
    display.poll()
    assert message in out.getvalue()


@pytest.mark.parametrize(
    "content",
    ["", "{", "[1]", "7", '{"x": 1}', '{"step": 1, "max_steps": null, "metric": "", "value": 2}'],
)
def test_progress_that_cannot_be_read_is_no_progress(
    make_cell: Callable[..., Cell], content: str
) -> None:
    cell = make_cell("model=fcn")
    display, out = display_of([cell], force_terminal=True)
    cell.folder.mkdir(parents=True)
    (cell.folder / "progress.json").write_text(content)
    with display.shown():
        display.poll()
    assert cell.run_id not in out.getvalue()


def test_a_metric_is_said_as_one_says_it() -> None:
    assert shown("test_error_percent", 1.949) == "test error 1.95 %"
    assert shown("val_residual_deg", 3) == "val residual deg 3.00"
