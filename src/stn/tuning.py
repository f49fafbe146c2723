"""A trial of a search for hyperparameters: trains a cell and validates it, and no more.

The test set is not looked at, so there is nothing that a table could show: a trial writes no
record, and keeps out of the folder of the cell that has the same configuration.
"""

from dataclasses import replace
from pathlib import Path

from filelock import FileLock

from stn.callbacks.progress import Stopwatch
from stn.cell import Cell, build_trainer, prepare

FOLDER = "tuning"


def run_trial(cell: Cell) -> float:
    """Train a cell from the start in `<runs_dir>/tuning`; return its validation error in percent.

    Raises:
        DivergedError, NonFiniteThetaError: training diverged.
    """
    folder = Path(cell.config["runs_dir"]) / FOLDER
    cell = replace(cell, config=cell.config | {"runs_dir": str(folder)})
    cell.folder.mkdir(parents=True, exist_ok=True)
    task, datamodule = prepare(cell)
    with FileLock(cell.folder / ".lock"):
        trainer = build_trainer(cell, Stopwatch(), [])
        trainer.fit(task, datamodule=datamodule)
        trainer.validate(task, datamodule=datamodule, verbose=False)
    error_percent = trainer.callback_metrics["val_error_percent"].item()
    print(f"{cell.run_id}: validation error {error_percent:.2f} %")
    return error_percent
