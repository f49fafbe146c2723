"""Runs one cell: prepare, train, measure, record.

Everything a run leaves lies in its folder: `config.yaml`, `metrics.csv`, `last.ckpt` (to continue
from) and the one before, `weights.pt` (to evaluate), `panels/`, and last of all `result.json`.
"""

import hashlib
import os
import sys
import traceback
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import OmegaConf

from stn.callbacks.metrics import MetricsFile
from stn.callbacks.progress import Stopwatch
from stn.files.atomic import remove_parts, write_atomically
from stn.files.locks import held
from stn.files.plain_yaml import read_yaml
from stn.files.regular import regular
from stn.files.run_files import (
    CONFIG,
    DATA,
    LAST,
    METRICS,
    PREVIOUS,
    RESULT,
    TRACE,
    WEIGHTS,
)
from stn.files.saved import save
from stn.files.scrubbing import scrub
from stn.files.verified import DataError
from stn.models.matching import num_parameters
from stn.results import provenance
from stn.results.code import code_id
from stn.results.records import (
    NewerRecordError,
    Record,
    RecordError,
    read_record_of,
    write_record,
)
from stn.running.building import check_targets
from stn.running.checkpoints import last_good, pass_over_strangers
from stn.running.preparing import (
    Cell,
    TrainerError,
    build_data,
    build_trainer,
    prepare,
)
from stn.running.ranks import RankError, run_ranks
from stn.running.recording import build_loggers, make_record
from stn.running.settings import check
from stn.tasks.task import DivergedError, Task
from stn.transformers import NonFiniteThetaError


def run_cell(cell: Cell) -> Record:
    """Bring a cell to its end from wherever it is, and return its record.

    A finished cell is not run again. A half-done one continues from its last checkpoint.

    Raises:
        CellBusyError: another process is running this cell.
        DivergedError, NonFiniteThetaError: training diverged; the record says so.
        TrainerError: a device is not there.
        DataError: the data are missing or damaged, or others than the run began with.
        NewerRecordError: a newer version of this package has run it.
        ValueError: a number of the configuration cannot be.
    """
    check(cell.config)
    check_targets(cell.config, cell.packages)
    provenance.git_state()  # of the code as it is now
    cell.folder.mkdir(parents=True, exist_ok=True)
    with held(cell.folder):
        remove_parts(cell.folder)
        for name in (CONFIG, DATA, METRICS, LAST, PREVIOUS, WEIGHTS, RESULT):
            regular(cell.folder / name)  # what is in the way of one is not found out at the end
        try:
            record = read_record_of(cell.folder)
            if record.status == "finished":
                print(f"{cell.run_id}: already done")
                return record
        except FileNotFoundError:
            pass
        except NewerRecordError:
            raise
        except RecordError as error:
            print(f"{error}: the cell is run again", file=sys.stderr)
        return _train_and_record(cell)


def _train_and_record(cell: Cell) -> Record:
    """Prepare, train, measure and record a cell; one that diverged or failed is recorded, too."""
    write_atomically(cell.folder / CONFIG, OmegaConf.to_yaml(cell.config).encode())
    read_yaml(cell.folder / CONFIG)  # what evaluation would refuse is refused by now
    build_data(cell).prepare_data()  # a download is no part of the run's time
    stopwatch, started_at = Stopwatch(code_id(cell.config)), datetime.now(UTC)
    task, data = prepare(cell)  # what goes wrong before training is no fault of the cell's
    data_sha256 = data.data_sha256()
    fresh = task.state_dict()
    pass_over_strangers(cell.folder, fresh, lambda: task.configure_optimizers()["optimizer"])
    record = partial(
        make_record,
        config=cell.config,
        run_id=cell.run_id,
        command=cell.command,
        stopwatch=stopwatch,
        started_at=started_at,
        num_params=num_parameters(task.network),
        data_sha256=data_sha256,
        data_part=getattr(data, "part", lambda: None)(),
        num_images=data.count_images(),
    )
    record(status="failed", message="not begun")  # what no record may hold is refused by now
    _goes_on_with(cell.folder, data_sha256)
    try:
        if cell.config["trainer"]["devices"] == 1:
            measured = train_and_measure(cell, task, data, stopwatch)
        else:
            measured = _train_and_measure_in_ranks(cell, stopwatch)
    except (DivergedError, NonFiniteThetaError) as error:
        write_record(cell.folder / RESULT, record(status="diverged", message=repr(error)))
        raise
    except (OSError, RankError, TrainerError):  # no fault of the cell's: the same command goes on
        raise
    except Exception as error:
        if stopwatch.steps == 0:  # nothing to keep: the cell cannot be, and is not recorded
            raise _cannot_be(cell, error) from error
        write_record(cell.folder / RESULT, record(status="failed", message=repr(error)))
        raise
    weights = hashlib.sha256(regular(cell.folder / WEIGHTS).read_bytes()).hexdigest()
    finished = record(status="finished", measured=measured, weights_sha256=weights)
    write_record(cell.folder / RESULT, finished)
    return finished


def _cannot_be(cell: Cell, error: Exception) -> ValueError:
    """Keep the trace of an error that came before the first step, and say where it is."""
    trace = cell.folder / TRACE
    write_atomically(trace, str(scrub(traceback.format_exc())).encode())
    reason = (str(error).strip() or "no reason").splitlines()[0]
    what = f"{type(error).__name__}: {reason} (its trace is in {trace})"
    return ValueError(f"no step can be made: {what}")


def _goes_on_with(folder: Path, data_sha256: str) -> None:
    """Remember which data a run is of, and refuse to go on with others.

    Raises:
        DataError: it began with other data.
    """
    path = folder / DATA
    if (folder / LAST).exists() and path.exists():
        if regular(path).read_text().strip() != data_sha256:
            raise DataError(
                f"{folder} is half-done with other data than are there now: bring these back, or"
                " remove the folder to begin anew"
            )
    else:
        write_atomically(path, f"{data_sha256}\n".encode())


def train_and_measure(
    cell: Cell, task: Task, data: Any, stopwatch: Stopwatch, rank: int = 0
) -> dict[str, float]:
    """Train to the end, then measure: the `measured` of the task.

    Of several ranks, the first one alone logs and writes.
    """
    loggers = build_loggers(cell) if rank == 0 else []
    try:
        trainer = build_trainer(cell, stopwatch, loggers)
        _train(trainer, task, data, cell.folder)
        trainer.validate(task, datamodule=data, verbose=False)
        if rank == 0:
            save(task.network.state_dict(), cell.folder / WEIGHTS)
        trainer.test(task, datamodule=data, verbose=False)
    finally:
        for logger in loggers:
            logger.finish()  # type: ignore[attr-defined]
    return task.measured


def _train_and_measure_in_ranks(cell: Cell, stopwatch: Stopwatch) -> dict[str, float]:
    """Train and measure on several devices, a process each; the stopwatch takes their time."""
    devices = cell.config["trainer"]["devices"]
    ended = run_ranks(devices, _train_and_measure_as_rank, stopwatch.code, cell)
    stopwatch.take_steps(ended.stopwatch)
    if ended.error is not None:
        raise ended.error
    return ended.measured


def _train_and_measure_as_rank(cell: Cell, stopwatch: Stopwatch, rank: int) -> dict[str, float]:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # or Lightning overrides trainer.threads
    return train_and_measure(cell, *prepare(cell), stopwatch, rank)


def _train(trainer: pl.Trainer, task: Task, data: Any, folder: Path) -> None:
    """Train to the end, from the last good checkpoint in the folder of the run, if there is one."""
    found = last_good(folder, MetricsFile(folder / METRICS).lacks)
    if found is None:
        trainer.fit(task, datamodule=data)
        return
    checkpoint, state = found
    trainer.fit(task, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    if state["global_step"] >= trainer.max_steps:  # Lightning skips the end of a finished training,
        task.load_state_dict(state["state_dict"])  # where the averaged weights become the network's
