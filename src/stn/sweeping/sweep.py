"""A sweep from its command to its end: plan the cells, fetch their data, run what is missing."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from stn.results.comparison import compare
from stn.results.identity import cell_id
from stn.results.render import write_reports
from stn.results.study import KINDS
from stn.results.table import PlannedRun, Table, parse_table
from stn.running.preparing import Cell, build_data
from stn.running.settings import check
from stn.running.tuning import trials_dir
from stn.sweeping.planning import planned_runs
from stn.sweeping.run import INTERRUPTED, Sweep, record_of, run_missing, split
from stn.sweeping.show import SweepDisplay

Compose = Callable[[Sequence[str]], DictConfig]
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
        planned, data, render = plan(products, compose)
        missing, left, summary = split(planned)
        console.print(summary, highlight=False, markup=False, soft_wrap=True)
        for config in data if missing else ():  # there, and verified, before the first cell
            _fetch(config)
    except (OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")

    def launch_jobs(jobs: Sequence[PlannedRun]) -> tuple[list[Any], Exception | None]:
        return launch([job.overrides for job in jobs])

    display = SweepDisplay(missing, planned.runs_dir, planned.title, console, render)
    try:
        with display.shown():
            failures = run_missing(planned, missing, launch_jobs, console)
    except (KeyboardInterrupt, SystemExit):  # Lightning turns the first into the second
        sys.exit(INTERRUPTED)
    if failures := left + failures:
        failed = {job.run_id for job in planned.jobs} & {f.partition(":")[0] for f in failures}
        lines = [f"{len(failed)} of {len(planned.jobs)} cells failed:", *failures]
        sys.exit("\n".join(lines))


def plan(
    products: Sequence[Sequence[str]], compose: Compose
) -> tuple[Sweep, list[Mapping[str, Any]], Callable[[], None]]:
    """Plan a sweep: the product of the lists, times the cells of a table where there is one.

    Returns:
        The sweep, each cell once; the configurations that its cells' data are built from; and what
        renders its tables from the records there are.

    Raises:
        ValueError: there are no cells, or a command says what a table sets for each of its cells.
    """
    planned: dict[str, PlannedRun] = {}
    tables: list[tuple[Table, list[PlannedRun]]] = []
    for overrides in products:
        asked = [o.lstrip("+").partition("=") for o in overrides if o.startswith("+")]
        if named := [(group, name) for group, _, name in asked if group in KINDS]:
            group, name = named[0]
            content: Any = OmegaConf.to_container(compose(overrides)[group])
            wanted = {column.key for column in parse_table(name, content, KINDS[group]).columns}
            if not wanted:
                continue
            # What is rendered is the whole.
            whole = parse_table(name, content | {"only": None}, KINDS[group])
            tables.append((whole, planned_runs(whole, overrides, compose)))
            runs = [run for run in tables[-1][1] if run.column in wanted]
        else:
            config: Any = OmegaConf.to_container(compose(overrides), resolve=True)
            check(config, overrides)
            runs = [PlannedRun(cell_id(config), overrides=(*overrides,), config=config)]
        for run in runs:
            planned.setdefault(run.run_id, run)
    if not planned:
        raise ValueError("this sweep has no cells")
    configs = [run.config for run in planned.values()]
    runs_dir = Path(configs[0]["runs_dir"])
    sweep = Sweep(
        jobs=[*planned.values()],
        title=", ".join(dict.fromkeys(table.title for table, _ in tables)) or "Sweep",
        runs_dir=trials_dir(configs[0]) if configs[0]["tune"] else runs_dir,
        retry=configs[0]["retry"],
    )

    def render() -> None:
        for table, runs in tables:
            found = [record_of(runs_dir / run.run_id) for run in runs]
            records = [record for record in found if record is not None]
            comparison = compare(table, runs[0].config["recipe"]["name"], runs, records)
            try:
                write_reports(comparison, Path(configs[0]["reports_dir"]))
            except OSError as error:  # no reason to stop what trains
                print(f"no report of {table.name}: {error}", file=sys.stderr)

    data = {config["data"]["module"]["_target_"]: config for config in configs}
    return sweep, [*data.values()], render


def _fetch(config: Mapping[str, Any]) -> None:
    """Have the data of a cell there, and verified: what is missing is said once."""
    data = build_data(Cell(config, "", "", (*config["packages"],)))
    data.prepare_data()
    data.setup()
