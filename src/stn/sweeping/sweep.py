"""A sweep from its command to its end: plan the cells, fetch their data, run what is missing."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from stn.results.identity import cell_id
from stn.results.table import cells
from stn.running.cell import Cell, build_data
from stn.running.tuning import trials_dir
from stn.sweeping.run import INTERRUPTED, Job, Sweep, run, split
from stn.sweeping.show import SweepDisplay

Compose = Callable[[Sequence[str]], dict[str, Any]]
LaunchOverrides = Callable[[Sequence[Sequence[str]]], tuple[list[Any], Exception | None]]


def sweep(products: Sequence[Sequence[str]], compose: Compose, launch: LaunchOverrides) -> None:
    """Run the missing cells of a sweep; exit with status 1 unless all of its cells are finished.

    Args:
        products: overrides of each job; with a `+table=`, of each time the whole table.
        compose: gives the resolved configuration of overrides.
        launch: runs jobs, given by their overrides; see `run.Launch`.
    """
    console = Console()
    try:
        planned, data = plan(products, compose)
        missing, left, summary = split(planned)
        console.print(summary, highlight=False, markup=False, soft_wrap=True)
        for config in data if missing else ():  # there, and verified, before the first cell
            _fetch(config)
    except (OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")

    def launch_jobs(jobs: Sequence[Job]) -> tuple[list[Any], Exception | None]:
        return launch([job.overrides for job in jobs])

    display = SweepDisplay(missing, planned.runs_dir, planned.title, console)
    try:
        with display.shown():
            failures = run(planned, missing, launch_jobs, console)
    except (KeyboardInterrupt, SystemExit):  # Lightning turns the first into the second
        sys.exit(INTERRUPTED)
    if failures := left + failures:
        lines = [f"{len(failures)} of {len(planned.jobs)} cells failed:", *failures]
        sys.exit("\n".join(lines))


def plan(
    products: Sequence[Sequence[str]], compose: Compose
) -> tuple[Sweep, list[Mapping[str, Any]]]:
    """Return a sweep, each cell once, and the configurations that its cells' data are built from.

    Raises:
        ValueError: there are no cells, or a command says what a table sets for each of its cells.
    """
    jobs: dict[str, Job] = {}
    data: dict[str, Mapping[str, Any]] = {}
    for overrides, cost in _expanded(products, compose):
        config = compose(overrides)
        run_id = cell_id(config)
        jobs.setdefault(run_id, Job(run_id, tuple(overrides), cost))
        data.setdefault(config["data"]["module"]["_target_"], config)
    if not jobs:
        raise ValueError("this sweep has no cells")
    runs_dir = trials_dir(config) if config["tune"] else Path(config["runs_dir"])
    title = config["table"]["title"] if "table" in config else "Sweep"
    return Sweep([*jobs.values()], title, runs_dir, config["retry"]), [*data.values()]


def _expanded(
    products: Sequence[Sequence[str]], compose: Compose
) -> Iterator[tuple[list[str], float]]:
    """Yield the overrides and the cost of every job: the product of the lists, times the table."""
    for overrides in products:
        asked = [override.lstrip("+~").partition("=")[0] for override in overrides]
        if "table" not in asked:
            yield [*overrides], 1.0
            continue
        for cell in cells(compose(overrides)["table"]):
            if taken := [key for key in asked if key in cell.overrides]:
                raise ValueError(
                    f"{', '.join(taken)}: a table sets {', '.join(cell.overrides)} itself; choose "
                    "with table.seeds=N and table.only=[...], or sweep without +table"
                )
            yield [*overrides, *(f"{k}={v}" for k, v in cell.overrides.items())], cell.cost


def _fetch(config: Mapping[str, Any]) -> None:
    """Have the data of a cell there, and verified: what is missing is said once."""
    data = build_data(Cell(config, "", "", (*config["packages"],)))
    data.prepare_data()
    data.setup()
