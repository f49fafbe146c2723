"""Runs one cell of a table: train, validate, test, write the record.

Everything a run leaves lies in its folder: `config.yaml`, `metrics.csv`, `last.ckpt` (to continue
from) and the one before, `weights.pt` (to evaluate), `panels/`, and last of all `result.json`.
"""

import logging
import math
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from pytorch_lightning.callbacks import EMAWeightAveraging, ModelCheckpoint
from pytorch_lightning.loggers import Logger
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from stn.callbacks.metrics import MetricsFile
from stn.callbacks.panels import Panels
from stn.callbacks.progress import ProgressFile, Stopwatch
from stn.data.randomness import stream
from stn.fast.memory import keep_freed_memory
from stn.files.atomic import remove_parts, write_atomically
from stn.files.locks import held
from stn.models.mnist import num_parameters
from stn.results import provenance
from stn.results.records import RESULT, Record, RecordError, read_record_of, write_record
from stn.running.checkpoints import CheckpointFiles, last_good, save
from stn.running.ranks import RankError, check_num_ranks, run_ranks
from stn.running.recording import make_record
from stn.tasks.classification import ClassificationTask, DivergedError
from stn.transformers import NonFiniteThetaError

CONFIG, METRICS, WEIGHTS = "config.yaml", "metrics.csv", "weights.pt"


# Lightning's advice, which is about other set-ups than this one.
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
for message in (
    ".*exists and is not empty",
    ".*LeafSpec",
    ".*does not have many workers",
    ".*srun. command is available",
    "Grad strides do not match",  # of one-channel kernels, whose strides say nothing
    ".*sync_dist=True",  # the counts are summed over the ranks already
):
    warnings.filterwarnings("ignore", message)


class TrainerError(ValueError):
    """The trainer cannot be had as configured, such as on a device that is not there."""


@dataclass(frozen=True)
class Cell:
    """A cell to run.

    Attributes:
        config: the resolved configuration.
        run_id: names the folder of the run.
        command: reproduces the cell.
        overrides: what was asked beyond model, transform, data, recipe and seed and changes the
            result.
        instantiate: builds an object from a configuration with `_target_` (Hydra's).
    """

    config: dict[str, Any]
    run_id: str
    command: str
    overrides: tuple[str, ...]
    instantiate: Callable[..., Any]

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return Path(self.config["runs_dir"]) / self.run_id


def run_cell(cell: Cell) -> float:
    """Bring a cell to its end from wherever it is, and return its validation error in percent.

    It is NaN if the record of a finished cell does not tell it.

    A finished cell is not run again. A half-done one continues from its last checkpoint.

    Raises:
        CellBusyError: another process is running this cell.
        DivergedError, NonFiniteThetaError: training diverged; the record says so.
        TrainerError: a device is not there.
        ValueError: a number of the configuration cannot be.
    """
    provenance.git_state(), provenance.code_id()  # of the code as it is now
    cell.folder.mkdir(parents=True, exist_ok=True)
    with held(cell.folder):
        remove_parts(cell.folder)
        record = _finished_record(cell.folder)
        if record is None:
            record = _run_and_record(cell)
        else:
            print(f"{cell.run_id}: already done, test error {record.test_error_percent} %")
    return math.nan if record.val_error_percent is None else record.val_error_percent


def _finished_record(folder: Path) -> Record | None:
    """Return the record of a finished cell; name a file that is none and will be replaced."""
    try:
        record = read_record_of(folder)
    except FileNotFoundError:
        return None
    except RecordError as error:
        print(f"{error}: the cell is run again", file=sys.stderr)
        return None
    return record if record.status == "finished" else None


def build_task(cell: Cell) -> ClassificationTask:
    """Build the network with its initial weights, which depend on the seed alone."""
    config = cell.config
    torch.manual_seed(stream(config["seed"], "init"))
    return ClassificationTask(
        network=cell.instantiate(config["model"]["network"]),
        optimizer=cell.instantiate(config["recipe"]["optimizer"]),
        scheduler=cell.instantiate(config["recipe"]["scheduler"]),
        localisation_lr_factor=config["recipe"]["localisation_lr_factor"],
        label_smoothing=config["recipe"].get("label_smoothing", 0.0),
        log_every_n_steps=config["recipe"]["watch"]["log_every_n_steps"],
        seed=config["seed"],
    )


def build_trainer(cell: Cell, stopwatch: Stopwatch, loggers: list[Logger]) -> pl.Trainer:
    """Build Lightning's trainer; all that it writes goes to the cell's folder."""
    recipe, trainer = cell.config["recipe"], cell.config["trainer"]
    metrics = MetricsFile(cell.folder / METRICS)
    panels = Panels(cell.folder / "panels", recipe["watch"]["panels_every_n_epochs"])
    callbacks: list[pl.Callback] = [stopwatch, metrics, panels]
    callbacks.append(ProgressFile(cell.folder / "progress.json"))
    if recipe["averaging"] is not None:  # after the panels, which show the averaged network
        callbacks.append(EMAWeightAveraging(decay=recipe["averaging"]["decay"]))
    callbacks.append(
        ModelCheckpoint(
            cell.folder, filename="last", enable_version_counter=False, save_on_train_epoch_end=True
        )
    )
    return pl.Trainer(
        accelerator=trainer["accelerator"],
        devices=trainer["devices"],
        strategy="auto" if trainer["devices"] == 1 else "ddp",
        # Ranks are counted here, whatever cluster this is.
        plugins=[CheckpointFiles(), LightningEnvironment()],
        use_distributed_sampler=False,  # each rank takes its share of every batch by itself
        max_steps=recipe["max_steps"],
        max_epochs=-1,
        check_val_every_n_epoch=recipe["watch"]["val_every_n_epochs"],
        num_sanity_val_steps=1,
        log_every_n_steps=1,
        reload_dataloaders_every_n_epochs=1,
        logger=[metrics, *loggers],
        callbacks=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=cell.folder,
    )


def _run_and_record(cell: Cell) -> Record:
    """Run a cell and write its record; a cell that diverged or failed gets a record too."""
    started_at = datetime.now(UTC)
    stopwatch = Stopwatch()
    check(cell.config)
    write_atomically(cell.folder / CONFIG, OmegaConf.to_yaml(cell.config).encode())
    task, datamodule = prepare(cell)  # what goes wrong before this line is no fault of the cell's
    record = partial(
        make_record,
        config=cell.config,
        run_id=cell.run_id,
        command=cell.command,
        stopwatch=stopwatch,
        started_at=started_at,
        num_params=num_parameters(task.network),
        data_sha256=datamodule.data_sha256(),
    )
    path = cell.folder / RESULT
    try:
        if cell.config["trainer"]["devices"] == 1:
            measured = _fit_and_test(cell, task, datamodule, stopwatch)
        else:
            measured = _fit_and_test_on_ranks(cell, stopwatch)
    except (DivergedError, NonFiniteThetaError) as error:
        write_record(path, record(status="diverged", message=repr(error)))
        raise
    except (OSError, RankError, TrainerError):  # no fault of the cell's: the same command goes on
        raise
    except Exception as error:
        write_record(path, record(status="failed", message=repr(error)))
        raise
    finished = record(status="finished", **measured)
    write_record(path, finished)
    return finished


def check(config: dict[str, Any]) -> None:
    """Refuse numbers that no run can have, most of which are not part of what a cell is.

    Raises:
        ValueError: one of them is no whole number from 1 up; or the devices cannot share a batch.
    """
    recipe, threads = config["recipe"], config["trainer"]["threads"]
    counts = {f"recipe.watch.{key}": value for key, value in recipe["watch"].items()}
    counts |= {f"recipe.{key}": recipe[key] for key in ("batch_size", "max_steps")}
    for name, value in {**counts, "trainer.threads": threads}.items():
        if type(value) is not int or value < 1:
            raise ValueError(f"{name} must be a whole number from 1 up, not {value!r}")
    check_num_ranks(config["trainer"]["devices"], recipe["batch_size"])


def prepare(cell: Cell) -> tuple[ClassificationTask, Any]:
    """Prepare this process; build the cell's task and its data module, whose data are there."""
    keep_freed_memory()
    if not torch.cuda.is_available():  # or each step of Adam looks for a driver, for 0.3 ms
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    torch.set_num_threads(cell.config["trainer"]["threads"])
    datamodule = cell.instantiate(cell.config["data"]["module"])
    datamodule.prepare_data()
    datamodule.setup()
    return build_task(cell), datamodule


def _fit_and_test_on_ranks(cell: Cell, stopwatch: Stopwatch) -> dict[str, Any]:
    """Train and measure with several processes; the stopwatch takes over the steps of theirs."""
    ended = run_ranks(cell.config["trainer"]["devices"], _fit_and_test_as_rank, cell)
    stopwatch.take_steps(ended.stopwatch)
    if ended.error is not None:
        raise ended.error
    return ended.measured


def _fit_and_test_as_rank(cell: Cell, stopwatch: Stopwatch, rank: int) -> dict[str, Any]:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # or Lightning overrides trainer.threads
    task, datamodule = prepare(cell)
    return _fit_and_test(cell, task, datamodule, stopwatch, rank)


def _fit_and_test(
    cell: Cell, task: ClassificationTask, datamodule: Any, stopwatch: Stopwatch, rank: int = 0
) -> dict[str, Any]:
    """Train to the end, then measure; return the record's fields that were measured.

    Of several ranks, the first one alone logs and writes.
    """
    loggers = _loggers(cell) if rank == 0 else []
    try:
        try:
            trainer = build_trainer(cell, stopwatch, loggers)
        except (MisconfigurationException, ValueError) as error:
            raise TrainerError(str(error)) from error
        _fit(trainer, task, datamodule, cell.folder)
        trainer.validate(task, datamodule=datamodule, verbose=False)
        val_error_percent = trainer.callback_metrics["val_error_percent"].item()
        if rank == 0:
            save(task.network.state_dict(), cell.folder / WEIGHTS)
        test = test_error(trainer, task, datamodule)
    finally:
        for logger in loggers:
            logger.finish()  # type: ignore[attr-defined]
    return {**test, "val_error_percent": val_error_percent}


def _fit(trainer: pl.Trainer, task: ClassificationTask, datamodule: Any, folder: Path) -> None:
    """Train to the end, from the last good checkpoint in the folder of the run, if there is one."""
    found = last_good(folder, MetricsFile(folder / METRICS).lacks)
    if found is None:
        trainer.fit(task, datamodule=datamodule)
        return
    checkpoint, state = found
    trainer.fit(task, datamodule=datamodule, ckpt_path=checkpoint, weights_only=True)
    if state["global_step"] >= trainer.max_steps:  # Lightning skips the end of a finished training,
        task.load_state_dict(state["state_dict"])  # where the averaged weights become the network's


def test_error(trainer: pl.Trainer, task: ClassificationTask, datamodule: Any) -> dict[str, Any]:
    """Measure the test error."""
    trainer.test(task, datamodule=datamodule, verbose=False)
    metrics = trainer.callback_metrics
    return {
        "test_error_percent": metrics["test_error_percent"].item(),
        "num_test": int(metrics["num_test"].item()),
    }


def _loggers(cell: Cell) -> list[Logger]:
    """Start the loggers of the configuration; `metrics.csv` is there without them."""
    loggers = []
    for config in cell.config["logger"]["loggers"]:
        build = cell.instantiate(config)
        try:
            loggers.append(build(cell.run_id, cell.folder, cell.config))
        except Exception as error:  # whatever ails a service must not stop the training
            name = config["_target_"]
            warnings.warn(f"{cell.run_id} goes on without {name}: {error}", stacklevel=2)
    return loggers
