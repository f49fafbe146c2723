"""A finished run brought back: its network, and its test once more."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pydantic import ValidationError
from torch import nn

from stn.files.plain_yaml import read_yaml
from stn.files.run_files import CONFIG, RESULT, WEIGHTS
from stn.files.saved import load_weights
from stn.files.scrubbing import scrub
from stn.results.checks import reason
from stn.results.identity import decisive
from stn.results.records import read_record, read_record_of
from stn.running.preparing import Cell, build_data, build_task
from stn.running.settings import Trainer
from stn.tasks.task import Task

# What runs did before a recipe said it.
BEFORE = {"precision": "32-true", "channels_last": False}
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
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).exists():
            raise ValueError(f"{folder} has no {name}, without which the run cannot be restored")
    record = read_record_of(folder.resolve())  # a link to a run may have any name
    if record.status != "finished":
        raise ValueError(f"{folder} is {record.status}: {record.message}")
    path = folder / CONFIG
    config = read_yaml(path)
    if not isinstance(config, dict) or not config.keys() >= CONFIG_KEYS:
        raise ValueError(f"{path} is not the configuration of a run")
    if _comparable(scrub(decisive(config))) != _comparable(decisive(record.config)):
        raise ValueError(f"{path} is not what the run was made with, by its {RESULT}")
    try:
        Trainer(**config["trainer"])
    except (TypeError, ValidationError) as error:
        why = reason(error) if isinstance(error, ValidationError) else "is no set of keys"
        raise ValueError(f"{path}: trainer.{why}") from error
    if fast is not None:
        config["trainer"] = config["trainer"] | {"fast": fast}
    weights = load_weights(folder, record.weights_sha256)
    try:
        config |= {"data_dir": str(data_dir), "recipe": BEFORE | config["recipe"]}
        cell = Cell(config, folder.name, record.command, tuple(packages))
        task = build_task(cell)
        task.network.load_state_dict(weights)
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:
        what = f"{WEIGHTS} and {CONFIG} in {folder} do not fit each other"
        raise ValueError(f"{what}: {type(error).__name__}: {error}") from error
    return cell, task


def _comparable(config: Any) -> Any:
    """Leave out of a configuration the texts that a record does not tell as they are: paths."""
    if isinstance(config, Mapping):
        return {str(key): _comparable(value) for key, value in config.items()}
    if isinstance(config, list):
        return [_comparable(value) for value in config]
    return None if isinstance(config, str) and set(config) & {*"/~$<"} else config


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
        precision=cell.config["recipe"]["precision"],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.test(task, datamodule=build_data(cell), verbose=False)
    record = read_record(folder / RESULT)
    recorded = {**record.metrics, "num_test": float(record.num_test or 0)}
    return {name: (value, recorded[name]) for name, value in task.measured.items()}
