"""Weights & Biases, offline unless the user is logged in."""

import os
import shlex
import shutil
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from netrc import netrc
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytorch_lightning as pl
from pytorch_lightning import Callback
from pytorch_lightning.loggers import WandbLogger

from stn.callbacks.metrics import MetricsFile
from stn.callbacks.panels import Panels, read_panel
from stn.callbacks.progress import Stopwatch
from stn.models.matching import num_parameters
from stn.results.identity import HARMLESS, OF_A_SWEEP
from stn.results.provenance import COMMAND

STEP = "trainer/global_step"  # the optimiser's step, as Lightning calls it
LONGEST = 128  # name of a group, in letters


class LenientWandbLogger(WandbLogger, Callback):
    """Logs to W&B as long as it can: what ails it is told once, and ends the logging alone.

    Offline, W&B begins a new file when a run goes on, and does not know the one before, which
    lacks what was not yet written at a kill. So the new one is told all that the run's metrics file
    and its panels have up to the checkpoint, and the old one is removed: one file has every row.
    """

    _lost = False
    _exit_code = 0
    _panels: Panels | None = None

    def on_exception(self, *args: Any) -> None:
        """Remember that the run did not end well, such as by divergence."""
        self._exit_code = 1

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make this the only file of a run offline; by now its metrics file is cut to size."""
        self._shown: set[int] = set()  # steps whose pictures were logged
        found: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        self._panels = next((c for c in found if isinstance(c, Panels)), None)
        num_params = {"num_params": num_parameters(pl_module.network)}  # type: ignore[arg-type]
        self._try(self.experiment.config.update, num_params, allow_val_change=True)
        if self.experiment.offline:
            self._try(self._take_over, trainer)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the picture of this step, if one was drawn."""
        self._try(self._show, trainer.global_step)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log metrics under a step; what few can read at once stays in `metrics.csv`.

        That are the components of theta, and how far the warps vary, which histograms show.
        """
        if kept := {k: v for k, v in metrics.items() if not in_file_only(k)}:
            self._try(super().log_metrics, kept, step)

    def finish(self) -> None:
        """End the W&B run, also one that failed, or it would be open as long as this process.

        Where it cannot be ended, the service is gone, which all runs of a process share: the next
        cell starts another.
        """
        if self._panels is not None and self._shown:
            self._try(self._log_table, self._panels)
        try:
            self.experiment.finish(exit_code=self._exit_code)
        except Exception as error:
            self._give_up(error)
            from wandb import teardown

            with suppress(ConnectionError):  # it takes its leave of the service, too
                teardown()

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Tell what the run cost."""
        for stopwatch in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(stopwatch, Stopwatch):
                cost = {"wall_s": stopwatch.wall_s, "cpu_s": stopwatch.cpu_s}
                cost["step_ms"] = 1000 * stopwatch.train_s / max(1, stopwatch.steps)
                self._try(self.experiment.summary.update, {f"cost/{k}": cost[k] for k in cost})

    def _take_over(self, trainer: pl.Trainer) -> None:
        """Log what came before this process, and remove the older files of this run."""
        calls: list[tuple[int, dict[str, float]]] = []
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            for step, name, value in callback.rows() if isinstance(callback, MetricsFile) else ():
                if not calls or calls[-1][0] != step or name in calls[-1][1]:
                    calls.append((step, {}))
                calls[-1][1][name] = value
        for step, metrics in calls:
            self.log_metrics(metrics, step)
            self._show(step)
        ours = Path(self.experiment.dir).parent
        # W&B appends "-1", "-2", ... to the names of runs that begin in the same second.
        for older in ours.parent.glob(f"offline-run-*-{self.experiment.id}*"):
            if older.name != ours.name:
                shutil.rmtree(older)
        shutil.rmtree(ours.parent / "artifacts", ignore_errors=True)

    def _show(self, step: int) -> None:
        """Log the picture of a step, and the histograms in its file, if there is one; once."""
        from wandb import Histogram, Image

        path = self._panels.path(step) if self._panels is not None else None
        if path is None or step in self._shown or not path.exists():
            return
        picture, _, histograms = read_panel(path)
        logged: dict[str, Any] = {"panels": [Image(picture, caption=f"step {step}")]}
        for name, (counts, edges) in histograms.items():
            logged[f"histogram/{name}"] = Histogram(np_histogram=(counts, edges))
        self.log_metrics(logged, step)
        self._shown.add(step)

    def _log_table(self, panels: Panels) -> None:
        """Log how each image was warped, and what it was taken for, over time."""
        from wandb import Image, Table

        last, lines = max(self._shown), []
        for path in sorted(panels.folder.glob("step_*.png")):
            if path <= panels.path(last):
                picture, rows, _ = read_panel(path)
                for row in rows:
                    boxes = row.pop("boxes")
                    lines.append(row | {name: Image(picture.crop(boxes[name])) for name in boxes})
        if not lines:
            return
        table = Table(columns=[*lines[0]], data=[[*line.values()] for line in lines])
        # W&B stages the pictures of a table in the user's home, unless told where else.
        theirs = os.environ.get("WANDB_DATA_DIR")
        os.environ["WANDB_DATA_DIR"] = theirs or str(Path(self.experiment.dir).parents[1])
        try:
            self.log_metrics({"samples": table}, last)
        finally:
            if theirs is None:
                del os.environ["WANDB_DATA_DIR"]

    def _try(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        if self._lost:
            return
        try:
            call(*args, **kwargs)
        except Exception as error:  # whatever ails a service must not stop the training
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        if not self._lost:
            text = f"training goes on without W&B, which failed: {error!r}"
            warnings.warn(text, stacklevel=4)
        self._lost = True


def in_file_only(name: str) -> bool:
    """Tell whether a metric is in `metrics.csv`, and not in W&B."""
    return name.startswith("theta") or "/sd_" in name


def wandb_logger(
    run_id: str, folder: Path, config: dict[str, Any], project: str, entity: str | None = None
) -> LenientWandbLogger:
    """Start (or continue) the W&B run of a cell.

    Args:
        run_id: the id of the cell; a resumed cell continues its W&B run.
        folder: where W&B keeps its files.
        config: the resolved configuration of the cell, and its `command`.
        project: W&B project.
        entity: W&B user or team; None for the user's own.
    """
    import wandb  # half a second that a run without W&B does not pay

    table, row, column, *more = place_in_table(config)
    recipe = config["recipe"]["name"]
    unwanted = {*OF_A_SWEEP} | (set() if config["model"]["transform"] else {"transform"})
    described = {key: value for key, value in config.items() if key not in unwanted}
    run = wandb.init(
        project=project,
        entity=entity,
        id=run_id,
        name=", ".join((row, column, *more, f"seed {config['seed']}")),
        group=group_of(table, recipe, row, column, *more),
        job_type="train",
        tags=[part[:64] for part in (table, recipe, row, column)],  # W&B takes no longer ones
        dir=folder,
        config=described | {"table": table, "row": row, "column": column},
        mode=None if os.environ.get("WANDB_MODE") else ("online" if logged_in() else "offline"),
        resume="allow",
        reinit="create_new",  # another run of this process, such as the user's own, is left alone
        settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
    )
    # Lightning does so for a run that it has started itself; else the axis is the count of calls.
    run.define_metric(STEP)
    run.define_metric("*", step_metric=STEP, step_sync=True)
    return LenientWandbLogger(experiment=run)


def group_of(table: str, recipe: str, row: str, column: str, *more: str) -> str:
    """Name the group of the runs that differ in their seed alone, as long as W&B has it.

    Args:
        table, recipe, row, column: where the runs stand.
        more: what they override besides, and a run of the table does not.
    """
    return f"{table}, {recipe}: {', '.join((row, column, *more))}"[:LONGEST]


def place_in_table(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return title of the table or study, and keys of row and column, that a cell is run for.

    The configuration of a cell has the table that it is run for, not where it stands there: the
    place whose overrides hold, of several the one with most. A cell of no table has its network
    for a row and its data for a column.

    Returns:
        Title, row and column; and what the cell's command overrides besides, such as
        `recipe.max_steps=100`, so that no two cells are called the same.
    """
    table = config.get("table") or config.get("study") or {"title": "single cells"}
    recipe = config["recipe"]["name"]
    places = [
        (overrides, row["key"], column["key"])
        for row in table.get("rows", [])
        for column in table.get("columns", [])
        if row.get("overrides")  # others have the paper's numbers only
        and _hold(overrides := column.get("overrides", {}) | row["overrides"], config)
    ]
    network = " ".join(filter(None, (config["model"]["name"], config["model"]["transform"])))
    places = places or [({}, network, config["data"]["name"])]
    overrides, row, column = max(places, key=lambda found: len(found[0]))
    known = {*overrides, *(table.get("recipes") or {}).get(recipe, {})} | HARMLESS - {"transform"}
    parts = tuple(f"{key.lstrip('+')}{end}" for key in known for end in "=.")
    told = (*parts, "model=", "transform=", "data=", "recipe=", "seed=")
    words = shlex.split(config.get("command", ""))[len(COMMAND) :]
    more = [word for word in words if not word.lstrip("+~").startswith(told)]
    return table["title"], row, column, *more


def _hold(overrides: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Tell whether a configuration has what overrides ask for; a choice of a group is its name."""
    for key, wanted in overrides.items():
        found: Any = config
        for part in key.lstrip("+").split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        if (found["name"] if isinstance(found, Mapping) and "name" in found else found) != wanted:
            return False
    return True


def logged_in() -> bool:
    """Tell whether `wandb login` was done or a key is set; asks neither user nor network."""
    if os.environ.get("WANDB_MODE", "online") != "online":
        return False
    if os.environ.get("WANDB_API_KEY"):
        return True
    server = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    return path.is_file() and netrc(path).authenticators(server or "") is not None
