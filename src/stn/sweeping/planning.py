"""The runs of a table, by the configuration as it is now."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from stn.results.identity import cell_id
from stn.results.table import PlannedRun, Table
from stn.running.settings import check

_WORD = re.compile(r"(?!(?:true|false|null|nan|inf)$)[A-Za-z_][A-Za-z0-9_./-]*", re.IGNORECASE)


def planned_runs(
    table: Table,
    overrides: Sequence[str],
    compose: Callable[[Sequence[str]], DictConfig],
    seeds: Iterable[int] | None = None,
    asks_for: Callable[[Mapping[str, Any]], bool] = lambda _: True,
) -> list[PlannedRun]:
    """Return the runs that a table asks for, in the order of their seeds, the cheapest first.

    Args:
        table: what to run.
        overrides: further ones of Hydra, for all cells, such as the recipe.
        compose: makes the configuration of `conf/train.yaml` with overrides, not resolved.
        seeds: by default 0 to the table's number less one.
        asks_for: tells by a cell's overrides whether it is wanted; composing the others takes time.

    Raises:
        ValueError: an override is one that the table has itself.
    """
    seeds = range(table.seeds) if seeds is None else [*seeds]
    of_recipe = table.recipes.get(compose(overrides).recipe.name, {}) if table.recipes else {}
    own = [key for part in (*table.rows, *table.columns) for key in part.keys]
    own = [*dict.fromkeys([*own, *of_recipe, "seed"])]
    asked = [override.lstrip("+~").partition("=")[0] for override in overrides]
    if taken := [key for key in asked if key in own]:
        raise ValueError(
            f"{', '.join(taken)}: a table sets {', '.join(own)} itself; choose with table.seeds=N"
            " and table.only=[...] (study.seeds, study.only), or sweep without +table"
        )
    runs = []
    for column in table.columns:
        for row in table.rows:
            if not row.overrides:  # the paper's number only
                continue
            chosen = of_recipe | column.overrides | row.overrides
            if not asks_for(chosen):
                continue
            of_cell = [*overrides, *(f"{key}={written(value)}" for key, value in chosen.items())]
            config = compose(of_cell)  # once a cell: seeds differ in what comes from `seed` alone
            plain: Any = OmegaConf.to_container(config, resolve=True)
            check(plain, of_cell)  # for no seeds, too
            for seed in seeds:
                config.seed = seed
                plain = OmegaConf.to_container(config, resolve=True)
                of_run, cost = (*of_cell, f"seed={seed}"), row.cost * column.cost
                run_id = cell_id(plain)
                runs.append(PlannedRun(run_id, row.key, column.key, seed, of_run, cost, plain))
    return sorted(runs, key=lambda run: (run.seed, run.cost))


def written(value: Any) -> str:
    """Write a value as Hydra's overrides have it."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    if not isinstance(value, str):
        return json.dumps(value)
    if _WORD.fullmatch(value):
        return value
    return "'" + re.sub(r"(\\*)('|\Z)", lambda m: 2 * m[1] + (m[2] and "\\'"), value) + "'"
