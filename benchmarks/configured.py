"""Cells and networks as `conf/` describes them; the one file here that imports Hydra."""

from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor, nn

from stn.results.identity import cell_id
from stn.running.building import instantiate
from stn.running.cell import Cell

CONF = Path(__file__).parents[1] / "conf"


def cell(*overrides: str) -> Cell:
    """Return the cell that `python -m stn.train` would run with these overrides."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=list(overrides))
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    return Cell(config, cell_id(config), "", (), instantiate)


def names(group: str) -> list[str]:
    """Return the names of all configurations of a group, such as every transform."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def network(described: Cell) -> nn.Module:
    """Build the network of a cell, its transformer a little off the identity, as in training."""
    torch.manual_seed(0)
    built: nn.Module = instantiate(described.config["model"]["network"])
    transformer = getattr(built, "transformer", None)
    if transformer is not None:
        nn.init.normal_(transformer.localisation.regression.weight, std=0.05)
    return built


def images(batch_size: int, size: tuple[int, int]) -> Tensor:
    """Return random images (B, 1, H, W) in [0, 1]."""
    return torch.rand(batch_size, 1, *size, generator=torch.Generator().manual_seed(0))


def labels(batch_size: int) -> Tensor:
    """Return random classes (B,) of ten."""
    return torch.randint(10, (batch_size,), generator=torch.Generator().manual_seed(0))
