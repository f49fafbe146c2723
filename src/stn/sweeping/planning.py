"""What a sweep is to run, and the runs of a table, by the configuration as it is now."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from stn.results.identity import cell_id
from stn.results.study import KINDS
from stn.results.table import PlannedRun, Table, parse_table
from stn.running.settings import check, trials_dir

Compose = Callable[[Sequence[str]], DictConfig]
PlannedTable = tuple[Table, list[PlannedRun]]

_WORD = re.compile(r"(?!(?:true|false|null|nan|inf)$)[A-Za-z_][A-Za-z0-9_./-]*", re.IGNORECASE)


@dataclass(frozen=True)
class Sweep:
    """The cells of a sweep.

    Attributes:
        jobs: in the order in which they should run.
        title: what the sweep is called.
        runs_dir: where the folders of the cells are.
        retry: status of the cells to be run again, "failed" or "diverged".
    """

    jobs: list[PlannedRun]
    title: str
    runs_dir: Path
    retry: str | None = None


def plan(products: Sequence[Sequence[str]], compose: Compose) -> tuple[Sweep, list[PlannedTable]]:
    """Plan a sweep: the product of the lists, times the cells of a table where there is one.

    Args:
        products: overrides of each job; with `+table=` or `+study=`, of each time the whole table.
        compose: as of `planned_runs`.

    Returns:
        The sweep, each cell once; and its tables, whole, with all of their runs.

    Raises:
        ValueError: there are no cells, or a command says what a table sets for each of its cells.
    """
    planned: dict[str, PlannedRun] = {}
    tables: list[PlannedTable] = []
    for overrides in products:
        asked = [o.lstrip("+").partition("=") for o in overrides if o.startswith("+")]
        if named := [(group, name) for group, _, name in asked if group in KINDS]:
            group, name = named[0]
            content: Any = OmegaConf.to_container(compose(overrides)[group])
            wanted = {column.key for column in parse_table(name, content, KINDS[group]).columns}
            if not wanted:
                continue
            # What is rendered is the whole.
            whole = parse_table(name, content | {"only": None}, KINDS[group])
            tables.append((whole, planned_runs(whole, overrides, compose)))
            runs = [run for run in tables[-1][1] if run.column in wanted]
        else:
            config: Any = OmegaConf.to_container(compose(overrides), resolve=True)
            check(config, overrides)
            runs = [PlannedRun(cell_id(config), overrides=(*overrides,), config=config)]
        for run in runs:
            planned.setdefault(run.run_id, run)
    if not planned:
        raise ValueError("this sweep has no cells")
    first = next(iter(planned.values())).config
    title = ", ".join(dict.fromkeys(table.title for table, _ in tables)) or "Sweep"
    runs_dir = trials_dir(first) if first["tune"] else Path(first["runs_dir"])
    return Sweep([*planned.values()], title, runs_dir, first["retry"]), tables


def planned_runs(
    table: Table,
    overrides: Sequence[str],
    compose: Compose,
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
