from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from stn.results.identity import cell_id
from stn.results.table import Column, Row, TableSpec, parse_table
from stn.sweeping.planning import run_ids

CONF = str(Path(__file__).parents[2] / "conf")


@pytest.fixture
def report() -> Any:
    """The configuration of a report, while Hydra knows where it is."""
    with initialize_config_dir(CONF, version_base="1.3"):
        yield OmegaConf.to_container(compose("report", ["recipe=smoke"]), resolve=True)


def places(spec: TableSpec) -> list[tuple[Row, Column]]:
    return [(row, column) for row in spec.rows for column in spec.columns]


def test_cells_are_called_what_training_calls_them(report: dict[str, Any]) -> None:
    spec, run_id_of = parse_table(report["table"]), run_ids(report["recipe"])
    for row, column in places(spec)[::5]:
        chosen = [f"model={row.model}", f"data={column.data}", "recipe=smoke", "seed=3"]
        chosen += [f"transform={row.transform}"] if row.transform else []
        config = OmegaConf.to_container(compose("train", chosen), resolve=True)
        assert run_id_of(row, column, 3) == cell_id(config)  # type: ignore[arg-type]


def test_a_recipe_of_other_settings_is_another_run(report: dict[str, Any]) -> None:
    spec, recipe = parse_table(report["table"]), report["recipe"]
    row, column = places(spec)[0]
    name = run_ids(recipe)(row, column, 0)
    assert run_ids(recipe | {"max_steps": 7})(row, column, 0) != name
    assert run_ids(recipe | {"watch": {}, "paper_steps": 1})(row, column, 0) == name
