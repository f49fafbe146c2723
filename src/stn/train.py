"""`python -m stn.train`: trains and tests one cell, or sweeps over many with `-m`.

A cell is model x transform x data x recipe x seed. Its folder is `runs/<run_id>`; `result.json`
there, written last, means that the cell is done.
"""

import shlex
import sys
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from stn.files.locks import BUSY, CellBusyError
from stn.results.identity import cell_id
from stn.running.building import instantiate
from stn.running.cell import Cell, run_cell
from stn.running.ranks import RankError
from stn.running.tuning import run_trial
from stn.sweeping.show import INTERRUPTED, Job, SweepDisplay, check_retry

CONF = str(Path(__file__).parents[2] / "conf")
# Overrides that say which cell it is, or that change no result: the rest is told in the record.
NAMING = {"model", "transform", "data", "recipe", "seed", "table", "logger", "trainer"}
HARMLESS = ("table.", "logger.", "trainer.", "recipe.watch.", "runs_dir", "data_dir", "retry")


def build(cfg: DictConfig) -> Cell:
    """Turn Hydra's configuration into a cell; nothing is built before the cell runs."""
    job = HydraConfig.get()
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    keys = {override: override.lstrip("+~").split("=")[0] for override in job.overrides.task}
    return Cell(
        config=config,
        run_id=cell_id(config),
        command=f"python -m stn.train {shlex.join(job.overrides.task)}",
        overrides=tuple(
            override
            for override, key in keys.items()
            if key not in NAMING and not key.startswith(HARMLESS)
        ),
        instantiate=instantiate,
    )


@hydra.main(version_base="1.3", config_path=CONF, config_name="train")
def main(cfg: DictConfig) -> float | str | None:
    """Run the cell that `cfg` describes; return its validation error in percent, or BUSY."""
    try:
        cell = build(cfg)
        check_retry(cfg.retry)
        _check_search(cfg)
    except ValueError as error:
        sys.exit(f"ValueError: {error}")
    run = run_trial if cfg.tune else run_cell
    if HydraConfig.get().mode == RunMode.MULTIRUN:  # the sweeper shows progress and failures
        try:
            return run(cell)
        except CellBusyError:
            return BUSY
    display = SweepDisplay([Job(cell.run_id, ())], Path(cfg.runs_dir), cell.run_id, Console())
    try:
        with display.shown():
            return run(cell)
    except (KeyboardInterrupt, SystemExit):  # Lightning turns the first into the second
        sys.exit(INTERRUPTED)
    except (ArithmeticError, CellBusyError, OSError, RankError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


def _check_search(cfg: DictConfig) -> None:
    """Refuse a search that would look at the test set with every trial."""
    sweeper = HydraConfig.get().runtime.choices["hydra/sweeper"]
    if sweeper not in ("resumable", "basic") and not cfg.tune:
        raise ValueError("a search must leave the test set alone: say tune=true, or +tuning=...")
    if cfg.tune and cfg.trainer.devices != 1:
        raise ValueError("a trial runs on one device: leave trainer.devices=1")


if __name__ == "__main__":
    main()
