"""A trial of a search for hyperparameters: trains a cell and validates it, and no more.

The test set is not looked at, so there is nothing that a table could show: a trial writes no
record, and keeps out of the folder of the cell that has the same configuration.
"""

from dataclasses import replace

from filelock import FileLock

from stn.callbacks.progress import Stopwatch
from stn.running.preparing import Cell, build_trainer, prepare
from stn.running.settings import check, trials_dir


def run_trial(cell: Cell) -> float:
    """Train a cell from the start in `<runs_dir>/tuning`; return its metric on the validation set.

    Raises:
        ValueError: a number of the configuration cannot be.
        DivergedError, NonFiniteThetaError: training diverged.
    """
    check(cell.config)
    cell = replace(cell, config={**cell.config, "runs_dir": str(trials_dir(cell.config))})
    cell.folder.mkdir(parents=True, exist_ok=True)
    task, data = prepare(cell)
    with FileLock(cell.folder / ".lock"):
        trainer = build_trainer(cell, Stopwatch(None), [])
        trainer.fit(task, datamodule=data)
        trainer.validate(task, datamodule=data, verbose=False)
    name = f"val_{cell.config['task']['metric']}"
    print(f"{cell.run_id}: {name} {task.measured[name]:.4g}")
    return task.measured[name]
