"""Weights & Biases, offline unless the user is logged in."""

import os
from netrc import netrc
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pytorch_lightning.loggers import WandbLogger


def wandb_logger(
    run_id: str, folder: Path, config: dict[str, Any], project: str, entity: str | None = None
) -> WandbLogger:
    """Start (or continue) the W&B run of a cell.

    Args:
        run_id: the id of the cell; a resumed cell continues its W&B run.
        folder: where W&B keeps its files.
        config: the resolved configuration of the cell.
        project: W&B project.
        entity: W&B user or team; None for the user's own.
    """
    os.environ.setdefault("WANDB_SILENT", "true")  # also what it says before a run has settings
    return WandbLogger(
        project=project,
        entity=entity,
        name=run_id,
        id=run_id,
        save_dir=folder,
        offline=not logged_in(),
        resume="allow",
        config=config,
        group=config["data"]["name"],
        settings={"silent": True, "console": "off", "x_disable_stats": True},
    )


def logged_in() -> bool:
    """Tell whether `wandb login` was done or a key is set; asks neither user nor network."""
    if os.environ.get("WANDB_MODE", "online") != "online":
        return False
    if os.environ.get("WANDB_API_KEY"):
        return True
    server = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    return path.is_file() and netrc(path).authenticators(server or "") is not None
