"""A finished run brought back: its network, and its test once more."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import nn
from yaml import YAMLError

from stn.files.regular import regular
from stn.results.records import RESULT, read_record, read_record_of
from stn.running.cell import CONFIG, WEIGHTS
from stn.running.checkpoints import load
from stn.running.preparing import Cell, build_data, build_task
from stn.tasks.task import Task

CONFIG_KEYS = {"data", "model", "recipe", "seed", "task", "trainer"}


def load_network(run: str | Path, packages: Sequence[str] = ()) -> nn.Module:
    """Return the network of a finished run with its weights, in plain torch, ready to be used.

    Args:
        run: the folder of the run.
        packages: whose classes may be built besides this project's.

    Raises:
        OSError, ValueError: as of `restore`.
    """
    _, task = restore(Path(run), packages=packages, fast=False)
    return task.network.eval()


def restore(
    folder: Path,
    data_dir: str | Path = "data",
    packages: Sequence[str] = (),
    fast: bool | None = None,
) -> tuple[Cell, Task]:
    """Rebuild a finished run: its cell, and its task with the weights it ended with.

    Args:
        folder: of the run.
        data_dir: where the data are now.
        packages: whose classes may be built besides this project's.
        fast: whether layers are replaced by quicker ones (`stn.fast`); None for as it was trained.

    Raises:
        OSError: a file of the run is not there, or cannot be read.
        ValueError: the run is not finished, or its files are damaged or do not fit each other.
    """
    if not (folder / RESULT).exists():
        raise ValueError(f"{folder} is not a finished run: it has no {RESULT}")
    record = read_record_of(folder.resolve())  # a link to a run may have any name
    if record.status != "finished":
        raise ValueError(f"{folder} is {record.status}: {record.message}")
    path = folder / CONFIG
    try:
        config: Any = OmegaConf.to_container(OmegaConf.load(regular(path)))
    except (YAMLError, OmegaConfBaseException) as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__})") from error
    if not isinstance(config, dict) or not config.keys() >= CONFIG_KEYS:
        raise ValueError(f"{path} is not the configuration of a run")
    if fast is not None:
        config["trainer"] = config["trainer"] | {"fast": fast}
    cell = Cell(config | {"data_dir": str(data_dir)}, folder.name, record.command, tuple(packages))
    weights = load(folder / WEIGHTS)
    found = hashlib.sha256(regular(folder / WEIGHTS).read_bytes()).hexdigest()
    if found != (record.weights_sha256 or found):  # records of older code do not tell
        raise ValueError(f"{folder / WEIGHTS} is not what the run ended with, by its {RESULT}")
    try:
        task = build_task(cell)
        task.network.load_state_dict(weights)
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:
        what = f"{WEIGHTS} and {CONFIG} in {folder} do not fit each other"
        raise ValueError(f"{what}: {type(error).__name__}: {error}") from error
    return cell, task


def evaluate(
    folder: Path, data_dir: str | Path, packages: Sequence[str] = ()
) -> dict[str, tuple[float, float]]:
    """Measure a finished run, taken as in `restore`, on the test set again, from its weights.

    Returns:
        For each metric of the test set what was found now, and what the record says.
    """
    cell, task = restore(folder, data_dir, packages)
    torch.set_num_threads(cell.config["trainer"]["threads"])
    trainer = pl.Trainer(
        accelerator=cell.config["trainer"]["accelerator"],
        devices=1,
        precision=cell.config["recipe"].get("precision"),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.test(task, datamodule=build_data(cell), verbose=False)
    record = read_record(folder / RESULT)
    recorded = {**record.metrics, "num_test": float(record.num_test or 0)}
    return {name: (value, recorded[name]) for name, value in task.measured.items()}
