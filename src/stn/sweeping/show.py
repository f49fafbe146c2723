"""What a sweep shows while its cells run, read from the files that the cells write.

Cells may run in other processes or on other machines; their folders are all that is needed.
"""

import json
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from stn.files.locks import is_free
from stn.results.records import Record, RecordError, read_record_of

POLL_S = 0.5
INTERRUPTED = "interrupted: the same command goes on from the last checkpoints"
FINISHED, RETRIABLE = "finished", ("failed", "diverged")

# Hydra merges conf/hydra/launcher/<name>.yaml into the settings that the launcher's plugin brings
# under the same name, which is what we want; that a later Hydra will not is for whoever renews the
# pin. Here, because the processes of a sweep import this module, too.
warnings.filterwarnings("ignore", message="(?s).*is validated against ConfigStore schema")
# Lightning's advice on every machine that has Slurm.
warnings.filterwarnings("ignore", message="The `srun` command is available")


def check_retry(retry: str | None) -> None:
    """Refuse what no record has as its status.

    Raises:
        ValueError: it is neither None nor "failed" nor "diverged".
    """
    if retry not in (None, *RETRIABLE):
        raise ValueError(f"unknown retry={retry}; valid are {', '.join(RETRIABLE)}")


@dataclass(frozen=True)
class Job:
    """A cell of a sweep.

    Attributes:
        run_id: names the folder of the cell below `runs_dir`.
        overrides: Hydra overrides that make the cell.
        cost: expected time relative to the other cells, for the estimate of the time left.
    """

    run_id: str
    overrides: tuple[str, ...]
    cost: float = 1.0


@dataclass(frozen=True)
class Sweep:
    """The cells of a sweep.

    Attributes:
        jobs: in the order in which they should run.
        title: what the sweep is called.
        runs_dir: where the folders of the cells are.
        data_modules: configurations of the data modules that the cells need, each kind once.
        retry: status of the cells to be run again, "failed" or "diverged".

    Raises:
        ValueError: `retry` is neither.
    """

    jobs: list[Job]
    title: str
    runs_dir: Path
    data_modules: list[Any]
    retry: str | None = None

    def __post_init__(self) -> None:
        check_retry(self.retry)


def split(sweep: Sweep) -> tuple[list[Job], list[str], str]:
    """Tell what a sweep has to run, and what it leaves because it failed and nobody asks for it.

    Returns:
        The cells to be run; a line for each one left, with the reason; a line about all of them,
        and one for each record that cannot be believed.
    """
    records, damaged = _records(sweep)
    status = {run_id: record.status for run_id, record in records.items()}
    left = [r for r in status if status[r] in RETRIABLE and status[r] != sweep.retry]
    missing = [j for j in sweep.jobs if j.run_id not in left and status.get(j.run_id) != FINISHED]
    num_done = sum(value == FINISHED for value in status.values())
    summary = f"{sweep.title}: {len(sweep.jobs)} cells, {num_done} already done"
    if left:
        summary += f", {len(left)} left as failed or diverged (retry=failed or retry=diverged)"
    reasons = [f"{r}: {status[r]} in an earlier sweep: {records[r].message}" for r in left]
    return missing, reasons, "\n".join([summary, *damaged])


def _records(sweep: Sweep) -> tuple[dict[str, Record], list[str]]:
    """Return the records of a sweep's cells, and a line for each one that cannot be believed."""
    records, damaged = {}, []
    for job in sweep.jobs:
        try:
            records[job.run_id] = read_record_of(sweep.runs_dir / job.run_id)
        except FileNotFoundError:
            continue
        except RecordError as error:
            damaged.append(f"{error}: the cell is run again")
    return records, damaged


def record_of(folder: Path) -> Record | None:
    """Return the record of a cell, or None where there is none that can be believed."""
    try:
        return read_record_of(folder)
    except (FileNotFoundError, RecordError):
        return None


def wait_until_free(jobs: list[Job], runs_dir: Path) -> list[Job]:
    """Wait until a process no longer runs one of some cells; return all that are free, if any."""
    while jobs and not (free := [job for job in jobs if is_free(runs_dir / job.run_id)]):
        time.sleep(POLL_S)
    return free if jobs else []


class SweepDisplay:
    """One bar for the sweep and one for each running cell; a line for each cell that ends.

    Args:
        jobs: the cells to be run.
        runs_dir: where their folders are.
        title: what the sweep is called.
        console: where to draw; without a terminal only lines are printed.
    """

    def __init__(self, jobs: list[Job], runs_dir: Path, title: str, console: Console) -> None:
        self.jobs = {job.run_id: job for job in jobs}
        self.runs_dir = runs_dir
        self.console = console
        self._before = {run_id: _mtime(runs_dir / run_id / "result.json") for run_id in self.jobs}
        self._bars: dict[str, TaskID] = {}
        self._ended: dict[str, float] = {}
        self._start = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._total = self._progress.add_task(f"[bold]{title}", total=len(jobs), note="")

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Draw while the block runs."""
        stop = threading.Event()
        thread = threading.Thread(target=self._poll_until, args=(stop,), daemon=True)
        with self._progress:
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join()
                self.poll()

    def poll(self) -> None:
        """Look at the folders of all cells that have not ended, and draw what changed."""
        for run_id, job in self.jobs.items():
            if run_id in self._ended:
                continue
            folder = self.runs_dir / run_id
            if _mtime(folder / "result.json") != self._before[run_id]:
                self._end(job, record_of(folder))
            else:
                self._advance(run_id, _progress(folder / "progress.json"))
        self._progress.update(self._total, completed=len(self._ended), note=self._time_left())

    def _poll_until(self, stop: threading.Event) -> None:
        while not stop.wait(POLL_S):
            self.poll()

    def _advance(self, run_id: str, state: dict) -> None:
        if not state:
            return
        if run_id not in self._bars:
            self._bars[run_id] = self._progress.add_task(run_id, note="")
        error = state["val_error_percent"]
        note = "" if error is None else f"val error {error:.2f} %"
        bar = self._bars[run_id]
        self._progress.update(bar, completed=state["step"], total=state["max_steps"], note=note)

    def _end(self, job: Job, record: Record | None) -> None:
        self._ended[job.run_id] = job.cost
        if job.run_id in self._bars:
            self._progress.remove_task(self._bars.pop(job.run_id))
        done = f"[{len(self._ended)}/{len(self.jobs)}] {job.run_id}: "
        if record is None:
            done += "its record cannot be read"
        elif record.test_error_percent is not None:
            done += f"test error {record.test_error_percent:.2f} % in {record.wall_s:.0f} s"
            done += "" if record.cpu_s is None else f" ({record.cpu_s:.0f} s of CPU)"
        else:
            done += f"{record.status}: {record.message}"
        said = done + self._time_left(", ")
        self._progress.console.print(said, highlight=False, markup=False, soft_wrap=True)

    def _time_left(self, before: str = "") -> str:
        """Estimate the time left from the costs of the cells that ended and of those to come."""
        done, all_ = sum(self._ended.values()), sum(job.cost for job in self.jobs.values())
        if not done or done >= all_:
            return ""
        minutes = (time.monotonic() - self._start) * (all_ - done) / done / 60
        return (
            f"{before}about {minutes:.0f} min left" if minutes >= 1 else f"{before}under 1 min left"
        )


def _progress(path: Path) -> dict[str, Any]:
    """Return how far a cell says it is; {} if it does not, or in no way that can be shown."""
    try:
        state = json.loads(path.read_text())
        steps = {key: int(state[key]) for key in ("step", "max_steps")}
        error = state["val_error_percent"]
        return {**steps, "val_error_percent": None if error is None else float(error)}
    except (OSError, ValueError, KeyError, TypeError):  # not begun, torn by a power cut, foreign
        return {}


def _mtime(path: Path) -> float:
    return path.stat().st_mtime_ns if path.exists() else 0
