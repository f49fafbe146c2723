"""Cells, networks and rows of Table 1 as `conf/` describes them; no other file imports Hydra."""

from typing import Any

import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from torch import Tensor, nn

from stn.configuration import CONF
from stn.data.distorted import configurations
from stn.fast import accelerate
from stn.results.identity import cell_id
from stn.running.preparing import Cell


def cell(*overrides: str) -> Cell:
    """Return the cell that `python -m stn.train` would run with these overrides."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("train", overrides=list(overrides))
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    return Cell(config, cell_id(config), "", packages=("benchmarks",))


def data_sets() -> list[str]:
    """Return the names of the data sets that show one digit of MNIST each."""
    return sorted(configurations(CONF / "data"))


def rows() -> dict[str, Any]:
    """Return the rows of Table 1 by key, the baselines first."""
    table = OmegaConf.load(CONF / "table/table1.yaml")
    return {row.key: row for row in sorted(table.rows, key=lambda row: "baseline" in row)}


def row_cell(row: Any, data: str) -> Cell:
    """Return the cell of a row of Table 1 on a data set."""
    return cell(*(f"{key}={value}" for key, value in row.overrides.items()), f"data={data}")


def network(described: Cell, fast: bool = True) -> Any:
    """Build the network of a cell, its transformer a little off the identity, as in training."""
    torch.manual_seed(0)
    built: nn.Module = described.build(described.config["model"]["network"])
    for name, weight in built.named_parameters():
        if name.endswith("regression.weight"):
            nn.init.normal_(weight, std=0.05)
    return accelerate(built) if fast else built


def images(described: Cell, batch_size: int) -> Tensor:
    """Return random images (B, C, H, W) in [0, 1], as large as a cell's."""
    data = described.config["data"]
    random = torch.Generator().manual_seed(0)
    return torch.rand(batch_size, data["channels"], *data["image_size"], generator=random)
