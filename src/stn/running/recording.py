"""What tells of a run: its record, made from what ran, and the loggers of its configuration."""

import resource
import sys
import warnings
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import torch
from pytorch_lightning.loggers import Logger

from stn.callbacks.progress import Stopwatch
from stn.results import provenance
from stn.results.identity import of_cell
from stn.results.records import Record
from stn.running.preparing import Cell

RSS_UNITS_PER_MIB = 2**20 if sys.platform == "darwin" else 2**10


def make_record(
    *,
    config: Mapping[str, Any],
    stopwatch: Stopwatch,
    started_at: datetime,
    measured: Mapping[str, float] | None = None,
    **fields: Any,
) -> Record:
    """Make the record of a run that ends now.

    Args:
        config: the resolved configuration; a table's own numbers in it are left out.
        stopwatch: what ran: times, steps, images and code, also of a run that failed.
        started_at: when the run, or its last resumption, began.
        measured: the `Task.measured` of a run that finished.
        fields: the other fields of a record.
    """
    metrics = dict(measured or {})
    num_test = metrics.pop("num_test", None)
    git_sha, git_dirty = provenance.git_state()
    trainer = config["trainer"]
    # The peak memory of this process, or of the largest of those that trained for it.
    who = resource.RUSAGE_SELF if trainer["devices"] == 1 else resource.RUSAGE_CHILDREN
    return Record(
        model=config["model"]["name"],
        transform=config["model"]["transform"],
        data=config["data"]["name"],
        task=config["task"]["name"],
        recipe=config["recipe"]["name"],
        seed=config["seed"],
        metrics=metrics,
        num_test=None if num_test is None else int(num_test),
        steps=stopwatch.steps,
        samples=stopwatch.samples,
        batch_size=config["recipe"]["batch_size"],
        step_ms=1000 * stopwatch.train_s / max(1, stopwatch.steps),
        wall_s=stopwatch.wall_s,
        cpu_s=stopwatch.cpu_s,
        peak_rss_mib=resource.getrusage(who).ru_maxrss / RSS_UNITS_PER_MIB,
        config=of_cell(config),
        git_sha=git_sha,
        git_dirty=git_dirty,
        code=stopwatch.code,
        versions=provenance.versions(),
        device=_device(trainer["accelerator"], trainer["devices"]),
        started_at=started_at.isoformat(timespec="seconds"),
        # By the stopwatch: the date of a clock that is set anew meanwhile may contradict itself.
        finished_at=(started_at + timedelta(seconds=stopwatch.since_start_s)).isoformat(
            timespec="seconds"
        ),
        **fields,
    )


def _device(accelerator: str, num_devices: int) -> str:
    times = "" if num_devices == 1 else f"{num_devices} x "
    if torch.cuda.is_available() and accelerator != "cpu":
        return f"{times}cuda: {torch.cuda.get_device_name()}"
    return f"{times}cpu: {provenance.processor()}, {torch.get_num_threads()} thread(s)"


def build_loggers(cell: Cell) -> list[Logger]:
    """Start the loggers of the configuration; `metrics.csv` is there without them."""
    told, loggers = {**cell.config, "command": cell.command}, []
    for config in cell.config["logger"]["loggers"]:
        build = cell.build(config)
        try:
            loggers.append(build(cell.run_id, cell.folder, told))
        except Exception as error:  # whatever ails a service must not stop the training
            name, reason = config["_target_"], str(error) or repr(error)
            warnings.warn(f"{cell.run_id} goes on without {name}: {reason}", stacklevel=2)
    return loggers
