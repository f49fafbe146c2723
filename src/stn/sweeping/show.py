"""What a sweep shows while its cells run, read from the files that the cells write.

Cells may run in other processes or on other machines; their folders are all that is needed.
"""

import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

from stn.files.regular import regular
from stn.files.run_files import PROGRESS, RESULT
from stn.results.records import Record
from stn.results.table import PlannedRun
from stn.sweeping.run import POLL_S, record_of

# Hydra merges conf/hydra/launcher/<name>.yaml into the settings that the launcher's plugin brings
# under the same name, which is what we want; that a later Hydra will not is for whoever renews the
# pin. Here, because the processes of a sweep import this module, too.
warnings.filterwarnings("ignore", message="(?s).*is validated against ConfigStore schema")


class SweepDisplay:
    """One bar for the sweep and one for each running cell; a line for each cell that ends.

    Args:
        jobs: the cells to be run.
        runs_dir: where their folders are.
        title: what the sweep is called.
        console: where to draw; without a terminal only lines are printed.
        on_end: called after cells have ended.
    """

    def __init__(
        self,
        jobs: list[PlannedRun],
        runs_dir: Path,
        title: str,
        console: Console,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.jobs = {job.run_id: job for job in jobs}
        self.runs_dir = runs_dir
        self.console = console
        self.on_end = on_end
        self._before = {run_id: _mtime(runs_dir / run_id / RESULT) for run_id in self.jobs}
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
        num_before = len(self._ended)
        for run_id, job in self.jobs.items():
            if run_id in self._ended:
                continue
            folder = self.runs_dir / run_id
            if _mtime(folder / RESULT) != self._before[run_id]:
                self._end(job, record_of(folder))
            else:
                self._advance(run_id, _progress(folder / PROGRESS))
        self._progress.update(self._total, completed=len(self._ended), note=self._time_left())
        if len(self._ended) > num_before:
            self.on_end()

    def _poll_until(self, stop: threading.Event) -> None:
        while not stop.wait(POLL_S):
            self.poll()

    def _advance(self, run_id: str, state: dict) -> None:
        if not state:
            return
        if run_id not in self._bars:
            self._bars[run_id] = self._progress.add_task(run_id, note="")
        note = "" if state["value"] is None else shown(state["metric"], state["value"])
        bar = self._bars[run_id]
        self._progress.update(bar, completed=state["step"], total=state["max_steps"], note=note)

    def _end(self, job: PlannedRun, record: Record | None) -> None:
        self._ended[job.run_id] = job.cost
        if job.run_id in self._bars:
            self._progress.remove_task(self._bars.pop(job.run_id))
        done = f"[{len(self._ended)}/{len(self.jobs)}] {job.run_id}: "
        if record is None:
            done += "its record cannot be read"
        elif record.status == "finished":
            tested = [shown(k, v) for k, v in record.metrics.items() if k.startswith("test_")]
            done += f"{', '.join(tested)} in {record.wall_s:.0f} s"
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


def shown(name: str, value: float) -> str:
    """Write a metric as one says it: `test_error_percent` as "test error 1.95 %"."""
    words, percent = name.replace("_", " "), name.endswith("_percent")
    return f"{words.removesuffix(' percent')} {value:.2f}{' %' if percent else ''}"


def _progress(path: Path) -> dict[str, Any]:
    """Return how far a cell says it is; {} if it does not, or in no way that can be shown."""
    try:
        state = json.loads(regular(path).read_text())
        steps = {key: int(state[key]) for key in ("step", "max_steps")}
        value = None if state["value"] is None else float(state["value"])
        return {**steps, "metric": str(state["metric"]), "value": value}
    except (OSError, ValueError, KeyError, TypeError):  # not begun, torn by a power cut, foreign
        return {}


def _mtime(path: Path) -> float:
    return path.stat().st_mtime_ns if path.exists() else 0
