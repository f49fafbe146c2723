"""Runs the cells of a sweep that are missing, whatever launches them.

What is there already, what is left because it failed, which cells another process runs, what
became of those that were launched: all of it is read from the folders of the cells.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from stn.files.locks import BUSY, is_free
from stn.results.records import NewerRecordError, Record, RecordError, read_record_of
from stn.results.table import PlannedRun
from stn.sweeping.planning import Sweep

POLL_S = 0.5
INTERRUPTED = "interrupted: the same command goes on from the last checkpoints"
FINISHED, RETRIABLE = "finished", ("failed", "diverged")


# Launches cells; returns for each what it returned or raised, in order, and what stopped the
# launcher before all had ended, if anything did.
Launch = Callable[[Sequence[PlannedRun]], tuple[list[Any], Exception | None]]


def split(sweep: Sweep) -> tuple[list[PlannedRun], list[str], str]:
    """Tell what a sweep has to run, and what it leaves: what failed, or is of a newer version.

    Returns:
        The cells to be run; a line for each one left, with the reason; a line about all of them,
        and one for each record that cannot be believed.
    """
    records: dict[str, Record] = {}
    newer: dict[str, str] = {}
    damaged = []
    for job in sweep.jobs:
        try:
            records[job.run_id] = read_record_of(sweep.runs_dir / job.run_id)
        except FileNotFoundError:
            continue
        except NewerRecordError as error:
            newer[job.run_id] = f"{job.run_id}: {error}"
        except RecordError as error:
            damaged.append(f"{error}: the cell is run again")
    status = {run_id: record.status for run_id, record in records.items()}
    left = [r for r in status if status[r] in RETRIABLE and status[r] != sweep.retry]
    others = {*left, *newer, *(run for run in status if status[run] == FINISHED)}
    missing = [job for job in sweep.jobs if job.run_id not in others]
    num_done = sum(value == FINISHED for value in status.values())
    summary = f"{sweep.title}: {len(sweep.jobs)} cells, {num_done} already done"
    if left:
        summary += f", {len(left)} left as failed or diverged (retry=failed or retry=diverged)"
    reasons = [f"{r}: {status[r]} in an earlier sweep: {records[r].message}" for r in left]
    reasons += newer.values()
    return missing, reasons, "\n".join([summary, *damaged])


def run_missing(
    sweep: Sweep, missing: Sequence[PlannedRun], launch: Launch, console: Console
) -> list[str]:
    """Run cells; wait for those that another process runs, and take over what it leaves.

    Returns:
        A line for each cell that failed; the last ones say what stopped the launcher, if it did.
    """
    failures: list[str] = []
    elsewhere: list[PlannedRun] = []
    missing = list(missing)
    while missing or elsewhere:
        outcomes, stopped = launch(missing)
        for job, outcome in zip(missing, outcomes, strict=False):  # fewer where it stopped
            if isinstance(outcome, Exception):
                failures.append(f"{job.run_id}: {type(outcome).__name__}: {outcome}")
            elif outcome == BUSY:
                elsewhere.append(job)
        if stopped is not None:
            return [*failures, *_after_stop(sweep, missing[len(outcomes) :], stopped)]
        if elsewhere and missing:
            names = ", ".join(job.run_id for job in elsewhere)
            console.print(f"waiting for another process: {names}", highlight=False, markup=False)
        free = _wait_until_free(elsewhere, sweep.runs_dir)
        elsewhere = [job for job in elsewhere if job not in free]
        missing, left, _ = split(replace(sweep, jobs=free))
        failures += left
    return failures


def record_of(folder: Path) -> Record | None:
    """Return the record of a cell, or None where there is none that can be believed."""
    try:
        return read_record_of(folder)
    except (FileNotFoundError, RecordError):
        return None


def _wait_until_free(jobs: list[PlannedRun], runs_dir: Path) -> list[PlannedRun]:
    """Wait until a process no longer runs one of some cells; return all that are free, if any."""
    while jobs and not (free := [job for job in jobs if is_free(runs_dir / job.run_id)]):
        time.sleep(POLL_S)
    return free if jobs else []


def _after_stop(sweep: Sweep, jobs: Sequence[PlannedRun], error: Exception) -> list[str]:
    """Say what stopped the launcher, which cells that left unfinished, and how to go on."""
    lines = []
    for job in jobs:
        record = record_of(sweep.runs_dir / job.run_id)
        if record is None:
            lines.append(f"{job.run_id}: stopped, or still running")
        elif record.status != FINISHED:
            lines.append(f"{job.run_id}: {record.status}: {record.message}")
    counts = f"{len(lines)} of {len(sweep.jobs)} cells are not finished"
    why = f"{type(error).__name__}: {(str(error).strip() or 'no reason').splitlines()[0]}"
    first = f"the launcher stopped, {counts}: {why}"
    return [first, *lines, "the same command goes on from the last checkpoints"]
