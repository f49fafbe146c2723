"""A sweep from its command to its end: plan the cells, fetch their data, run what is missing."""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from stn.results.comparison import compare
from stn.results.render import write_reports
from stn.results.table import PlannedRun
from stn.running.preparing import Cell, build_data
from stn.sweeping.planning import Compose, PlannedTable, Sweep, plan
from stn.sweeping.run import INTERRUPTED, record_of, run_missing, split
from stn.sweeping.show import SweepDisplay

LaunchOverrides = Callable[[Sequence[Sequence[str]]], tuple[list[Any], Exception | None]]


def sweep(products: Sequence[Sequence[str]], compose: Compose, launch: LaunchOverrides) -> None:
    """Run the missing cells of a sweep; exit with status 1 unless all of its cells are finished.

    Args:
        products: overrides of each job; with `+table=` or `+study=`, of each time the whole table.
        compose: gives the configuration of overrides, not resolved.
        launch: runs jobs, given by their overrides; see `run.Launch`.
    """
    console = Console()
    try:
        planned, tables = plan(products, compose)
        missing, left, summary = split(planned)
        console.print(summary, highlight=False, markup=False, soft_wrap=True)
        for config in {job.config["data"]["name"]: job.config for job in missing}.values():
            _fetch(config)  # there, and verified, before the first cell
    except (OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")

    def launch_jobs(jobs: Sequence[PlannedRun]) -> tuple[list[Any], Exception | None]:
        return launch([job.overrides for job in jobs])

    display = SweepDisplay(
        missing, planned.runs_dir, planned.title, console, partial(_render, tables, planned)
    )
    try:
        with display.shown():
            failures = run_missing(planned, missing, launch_jobs, console)
    except (KeyboardInterrupt, SystemExit):  # Lightning turns the first into the second
        sys.exit(INTERRUPTED)
    if failures := left + failures:
        failed = {job.run_id for job in planned.jobs} & {f.partition(":")[0] for f in failures}
        lines = [f"{len(failed)} of {len(planned.jobs)} cells failed:", *failures]
        sys.exit("\n".join(lines))


def _render(tables: Sequence[PlannedTable], sweep: Sweep) -> None:
    """Render the tables of a sweep from the records there are."""
    config = sweep.jobs[0].config
    for table, runs in tables:
        found = [record_of(Path(config["runs_dir"]) / run.run_id) for run in runs]
        records = [record for record in found if record is not None]
        comparison = compare(table, runs[0].config["recipe"]["name"], runs, records)
        try:
            write_reports(comparison, Path(config["reports_dir"]))
        except OSError as error:  # no reason to stop what trains
            print(f"no report of {table.name}: {error}", file=sys.stderr)


def _fetch(config: Mapping[str, Any]) -> None:
    """Have the data of a cell there, and verified: what is missing is said once."""
    data = build_data(Cell(config, "", "", (*config["packages"],)))
    data.prepare_data()
    data.setup()
