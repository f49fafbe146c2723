"""What the cells of a table are called today, by the configuration as it is now."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from hydra import compose
from omegaconf import DictConfig, OmegaConf

from stn.results.comparison import RunIdOf
from stn.results.identity import cell_id
from stn.results.table import Column, Row


def run_ids(recipe: Mapping[str, Any]) -> RunIdOf:
    """Return what names the run that a cell of a table and a seed would be with this recipe.

    Hydra must know where the configuration is.

    Args:
        recipe: resolved; its name is that of a file in `conf/recipe`.
    """

    @cache  # of a table's cells, whose seeds differ in what is interpolated from `seed` alone
    def composed(model: str, transform: str | None, data: str) -> DictConfig:
        chosen = [f"model={model}", f"data={data}", f"recipe={recipe['name']}"]
        return compose("train", [*chosen, *([f"transform={transform}"] if transform else [])])

    def run_id(row: Row, column: Column, seed: int) -> str:
        config = composed(row.model, row.transform, column.data)
        config.seed = seed
        plain: Any = OmegaConf.to_container(config, resolve=True)
        return cell_id(plain | {"recipe": recipe})

    return run_id
