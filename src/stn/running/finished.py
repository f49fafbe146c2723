"""What a finished run can still do: give its network back, and be tested again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from stn.results.records import RESULT, read_record
from stn.running.cell import CONFIG, WEIGHTS, Cell, build_task, test_error
from stn.running.checkpoints import load
from stn.tasks.classification import ClassificationTask

CONFIG_GROUPS = {"data", "model", "recipe", "seed", "trainer"}


def restore(
    folder: Path, instantiate: Callable[..., Any], data_dir: str | Path
) -> tuple[Cell, ClassificationTask]:
    """Rebuild a finished run: its cell, and its task with the weights it ended with.

    Args:
        folder: of the run.
        instantiate: builds an object from a configuration with `_target_` (Hydra's).
        data_dir: where the data are now.

    Raises:
        OSError: a file of the run is not there, or cannot be read.
        ValueError: the run is not finished, or its files are damaged or do not fit each other.
    """
    if not (folder / RESULT).exists():
        raise ValueError(f"{folder} is not a finished run: it has no {RESULT}")
    record = read_record(folder / RESULT)
    if record.status != "finished":
        raise ValueError(f"{folder} is {record.status}: {record.message}")
    config = _read_config(folder / CONFIG, data_dir)
    cell = Cell(config, folder.name, record.command, (), instantiate)
    weights = load(folder / WEIGHTS)
    try:
        task = build_task(cell)
        task.network.load_state_dict(weights)
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:
        what = f"{WEIGHTS} and {CONFIG} in {folder} do not fit each other"
        raise ValueError(f"{what}: {type(error).__name__}: {error}") from error
    return cell, task


def _read_config(path: Path, data_dir: str | Path) -> dict[str, Any]:
    try:
        config: Any = OmegaConf.to_container(OmegaConf.load(path))
    except (YAMLError, OmegaConfBaseException) as error:
        raise ValueError(f"{path} is damaged ({type(error).__name__})") from error
    try:
        config["data"]["module"]["data_dir"] = str(data_dir)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} is not the configuration of a run") from error
    if not config.keys() >= CONFIG_GROUPS:
        raise ValueError(f"{path} is not the configuration of a run")
    return config


def evaluate(folder: Path, instantiate: Callable[..., Any], data_dir: str | Path) -> dict[str, Any]:
    """Recompute the test error of a finished run, taken as in `restore`, from its weights.

    Returns:
        `test_error_percent`, `recorded_error_percent` and `num_test`.
    """
    cell, task = restore(folder, instantiate, data_dir)
    torch.set_num_threads(cell.config["trainer"]["threads"])
    trainer = pl.Trainer(
        accelerator=cell.config["trainer"]["accelerator"],
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    found = test_error(trainer, task, instantiate(cell.config["data"]["module"]))
    return {**found, "recorded_error_percent": read_record(folder / RESULT).test_error_percent}
