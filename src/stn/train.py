"""`python -m stn.train`: trains and tests one cell, or sweeps over many with `-m`.

A cell is model x transform x data x recipe x seed. Its folder is `runs/<run_id>`; `result.json`
there, written last, means that the cell is done.
"""

import stn.extra  # noqa: F401  # isort: skip

import math
import sys
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from stn.entry import command
from stn.files.locks import BUSY, CellBusyError
from stn.results.identity import OF_A_SWEEP, cell_id
from stn.results.provenance import command_of
from stn.results.table import PlannedRun
from stn.running.cell import run_cell
from stn.running.preparing import Cell
from stn.running.ranks import RankError
from stn.running.settings import check
from stn.running.tuning import run_trial
from stn.sweeping.run import INTERRUPTED
from stn.sweeping.show import SweepDisplay


@command("train")
def main(cfg: DictConfig) -> float | str | None:
    """Run the cell that `cfg` describes; return its metric on the validation set, or BUSY."""
    job = HydraConfig.get()
    is_sweep = job.mode == RunMode.MULTIRUN  # the sweeper shows progress and failures
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    check(config, job.overrides.task)
    _check_how_it_is_run(config, job.runtime.choices["hydra/sweeper"], is_sweep)
    alone = command_of(job.overrides.task)
    cell = Cell(config, cell_id(config), alone, (*config["packages"],))
    if is_sweep:
        try:
            return _run(cell)
        except CellBusyError:
            return BUSY
    display = SweepDisplay([PlannedRun(cell.run_id)], Path(cfg.runs_dir), cell.run_id, Console())
    try:
        with display.shown():
            return _run(cell)
    except (KeyboardInterrupt, SystemExit):  # Lightning turns the first into the second
        sys.exit(INTERRUPTED)
    except (ArithmeticError, CellBusyError, OSError, RankError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


def _run(cell: Cell) -> float:
    """Run a cell, or a trial of a search; return its metric, NaN if an old record lacks it."""
    if cell.config["tune"]:
        return run_trial(cell)
    return run_cell(cell).metrics.get(f"val_{cell.config['task']['metric']}", math.nan)


def _check_how_it_is_run(config: dict[str, Any], sweeper: str, is_sweep: bool) -> None:
    """Refuse a search that would look at the test set with every trial, and half a command."""
    if sweeper not in ("resumable", "basic") and not config["tune"]:
        raise ValueError("a search must leave the test set alone: say tune=true, or +tuning=...")
    if config["tune"] and config["trainer"]["devices"] != 1:
        raise ValueError("a trial runs on one device: leave trainer.devices=1")
    for name in OF_A_SWEEP:
        if name in config and not is_sweep:
            raise ValueError(f"a {name} is a sweep over its cells: say -m +{name}=...")


if __name__ == "__main__":
    main()
