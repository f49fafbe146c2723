"""What a cell is, and the parts that it is run with, built from its configuration."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging, ModelCheckpoint
from pytorch_lightning.loggers import Logger
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.utilities.exceptions import MisconfigurationException

import stn.running.unwanted_warnings  # noqa: F401
from stn.callbacks.metrics import MetricsFile
from stn.callbacks.panels import Panels
from stn.callbacks.progress import ProgressFile, Stopwatch
from stn.data.randomness import stream
from stn.fast import accelerate
from stn.fast.memory import keep_freed_memory
from stn.files.run_files import METRICS, PANELS, PROGRESS
from stn.running.building import instantiate
from stn.running.checkpoints import CheckpointFiles
from stn.tasks.task import Task


class TrainerError(ValueError):
    """The trainer cannot be had as configured, such as on a device that is not there."""


@dataclass(frozen=True)
class Cell:
    """A cell to run.

    Attributes:
        config: the resolved configuration.
        run_id: names the folder of the run.
        command: reproduces the cell.
        packages: whose classes the configuration may build besides this project's.
    """

    config: Mapping[str, Any]
    run_id: str
    command: str
    packages: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return Path(self.config["runs_dir"]) / self.run_id

    def build(self, part: Mapping[str, Any], **arguments: Any) -> Any:
        """Build what a part of the configuration describes, with further arguments."""
        return instantiate(part, self.packages, **arguments)


def prepare(cell: Cell) -> tuple[Task, Any]:
    """Prepare this process; build the cell's task and its data module, whose data are there."""
    keep_freed_memory()
    if not torch.cuda.is_available():  # or each step of Adam looks for a driver, for 0.3 ms
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    torch.set_num_threads(cell.config["trainer"]["threads"])
    data = build_data(cell)
    data.prepare_data()
    data.setup()
    return build_task(cell), data


def build_data(cell: Cell) -> Any:
    """Build the data module (`stn.data.contract.CellData`)."""
    config = cell.config
    return cell.build(
        config["data"]["module"],
        batch_size=config["recipe"]["batch_size"],
        seed=config["seed"],
        data_dir=config["data_dir"],
    )


def build_task(cell: Cell) -> Task:
    """Build the network with its initial weights, which depend on the seed alone, and its task."""
    config, recipe = cell.config, cell.config["recipe"]
    torch.manual_seed(stream(config["seed"], "init"))
    network = cell.build(config["model"]["network"])
    if config["trainer"]["fast"]:
        network = accelerate(network)
    if recipe["channels_last"]:
        network = network.to(memory_format=torch.channels_last)
    return Task(
        network=network,
        loss=cell.build(config["task"]["loss"]),
        evaluators={name: cell.build(e) for name, e in config["task"]["evaluators"].items()},
        optimizer=cell.build(recipe["optimizer"]),
        scheduler=cell.build(recipe["scheduler"]),
        localisation_lr_factor=recipe["localisation_lr_factor"],
        log_every_n_steps=recipe["watch"]["log_every_n_steps"],
        seed=config["seed"],
    )


def build_trainer(cell: Cell, stopwatch: Stopwatch, loggers: list[Logger]) -> pl.Trainer:
    """Build Lightning's trainer; all that it writes goes to the cell's folder.

    Raises:
        TrainerError: the device is not there, or cannot train in this precision.
    """
    recipe, trainer = cell.config["recipe"], cell.config["trainer"]
    on_processor = trainer["accelerator"] == "cpu" or not torch.cuda.is_available()
    if recipe["precision"] == "16-mixed" and on_processor:
        raise TrainerError("recipe.precision=16-mixed: a processor trains in bf16-mixed instead")
    metrics = MetricsFile(cell.folder / METRICS)
    panels = Panels(cell.folder / PANELS, recipe["watch"]["panels_every_n_epochs"])
    progress = ProgressFile(cell.folder / PROGRESS, cell.config["task"]["metric"])
    callbacks: list[pl.Callback] = [stopwatch, metrics, panels, progress]
    callbacks += [logger for logger in loggers if isinstance(logger, pl.Callback)]
    if recipe["averaging"] is not None:  # after the panels, which show the averaged network
        callbacks.append(EMAWeightAveraging(decay=recipe["averaging"]["decay"]))
    callbacks.append(
        ModelCheckpoint(
            cell.folder, filename="last", enable_version_counter=False, save_on_train_epoch_end=True
        )
    )
    try:
        return pl.Trainer(
            accelerator=trainer["accelerator"],
            devices=trainer["devices"],
            precision=recipe["precision"],
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
    except (MisconfigurationException, ValueError) as error:
        raise TrainerError(str(error)) from error
