"""Weights & Biases, offline unless the user is logged in."""

import os
import warnings
from collections.abc import Callable
from netrc import netrc
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytorch_lightning.loggers import WandbLogger


class LenientWandbLogger(WandbLogger):
    """Logs to W&B as long as it can: what ails it is told once, and ends the logging alone."""

    _lost = False

    def log_metrics(self, *args: Any, **kwargs: Any) -> None:
        """Log metrics under a step."""
        self._try(super().log_metrics, *args, **kwargs)

    def log_image(self, *args: Any, **kwargs: Any) -> None:
        """Log pictures under a step."""
        self._try(super().log_image, *args, **kwargs)

    def finish(self) -> None:
        """End the W&B run, or the next cell of this process would continue it."""
        self._try(self.experiment.finish)

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
