"""Weights & Biases, offline unless the user is logged in."""

import os
import shutil
import warnings
from collections.abc import Callable
from netrc import netrc
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytorch_lightning as pl
from pytorch_lightning import Callback
from pytorch_lightning.loggers import WandbLogger

from stn.callbacks.metrics import MetricsFile
from stn.callbacks.panels import CAPTION, Panels


class LenientWandbLogger(WandbLogger, Callback):
    """Logs to W&B as long as it can: what ails it is told once, and ends the logging alone.

    Offline, W&B begins a new file when a run goes on, and does not know the one before, which
    lacks what was not yet written at a kill. So the new one is told all that the run's metrics file
    and its panels have up to the checkpoint, and the old one is removed: one file has every row.
    """

    _lost = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Make this the only file of a run offline; by now its metrics file is cut to size."""
        if self.experiment.offline:
            self._try(self._take_over, trainer)

    def log_metrics(self, *args: Any, **kwargs: Any) -> None:
        """Log metrics under a step."""
        self._try(super().log_metrics, *args, **kwargs)

    def log_image(self, *args: Any, **kwargs: Any) -> None:
        """Log pictures under a step."""
        self._try(super().log_image, *args, **kwargs)

    def finish(self) -> None:
        """End the W&B run, or the next cell of this process would continue it."""
        self._try(self.experiment.finish)

    def _take_over(self, trainer: pl.Trainer) -> None:
        """Log what came before this process, and remove the older files of this run."""
        pictures: dict[int, Path] = {}
        calls: list[tuple[int, dict[str, float]]] = []
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, Panels):
                pictures = callback.written()
            for step, name, value in callback.rows() if isinstance(callback, MetricsFile) else ():
                if not calls or calls[-1][0] != step or name in calls[-1][1]:
                    calls.append((step, {}))
                calls[-1][1][name] = value
        for step, metrics in calls:
            super().log_metrics(metrics, step)
            if step in pictures:
                super().log_image("panels", [str(pictures.pop(step))], step, caption=[CAPTION])
        ours = Path(self.experiment.dir).parent
        # W&B appends "-1", "-2", ... to the names of runs that begin in the same second.
        for older in ours.parent.glob(f"offline-run-*-{self.experiment.id}*"):
            if older.name != ours.name:
                shutil.rmtree(older)

    def _try(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        if self._lost:
            return
        try:
            call(*args, **kwargs)
        except Exception as error:  # whatever ails a service must not stop the training
            self._lost = True
            warnings.warn(f"training goes on without W&B, which failed: {error!r}", stacklevel=3)


def wandb_logger(
    run_id: str, folder: Path, config: dict[str, Any], project: str, entity: str | None = None
) -> LenientWandbLogger:
    """Start (or continue) the W&B run of a cell.

    Args:
        run_id: the id of the cell; a resumed cell continues its W&B run.
        folder: where W&B keeps its files.
        config: the resolved configuration of the cell.
        project: W&B project.
        entity: W&B user or team; None for the user's own.
    """
    import wandb  # half a second that a run without W&B does not pay

    run = wandb.init(
        project=project,
        entity=entity,
        id=run_id,
        name=run_id,
        group=config["data"]["name"],
        dir=folder,
        config=config,
        mode=None if os.environ.get("WANDB_MODE") else ("online" if logged_in() else "offline"),
        resume="allow",
        settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
    )
    return LenientWandbLogger(experiment=run)


def logged_in() -> bool:
    """Tell whether `wandb login` was done or a key is set; asks neither user nor network."""
    if os.environ.get("WANDB_MODE", "online") != "online":
        return False
    if os.environ.get("WANDB_API_KEY"):
        return True
    server = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    return path.is_file() and netrc(path).authenticators(server or "") is not None
