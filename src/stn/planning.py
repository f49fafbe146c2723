"""What the cells of a table are called today, by the configuration as it is now."""

from collections.abc import Mapping
from typing import Any

from hydra import compose
from omegaconf import OmegaConf

from stn.results.comparison import RunIdOf
from stn.results.identity import cell_id
from stn.results.table import Column, Row


def run_ids(recipe: Mapping[str, Any]) -> RunIdOf:
    """Return what names the run that a cell of a table and a seed would be with this recipe.

    Hydra must know where the configuration is.

    Args:
        recipe: resolved; its name is that of a file in `conf/recipe`.
    """

    def run_id(row: Row, column: Column, seed: int) -> str:
        chosen = [f"model={row.model}", f"data={column.data}", f"seed={seed}"]
        chosen += [f"transform={row.transform}"] if row.transform else []
        chosen += [f"recipe={recipe['name']}"]
        config: Any = OmegaConf.to_container(compose("train", chosen), resolve=True)
        return cell_id(config | {"recipe": recipe})

    return run_id
