"""Synthetic records and tables: made up by a formula, no run gave them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from stn.results.comparison import Comparison, compare
from stn.results.records import Record
from stn.results.table import PlannedRun, Table, parse_table

MakeRecord = Callable[..., Record]
COMMIT, CODE = "c0ffee0" * 5, "c0de" * 3
STARTED_AT = "2015-06-05T12:00:00+00:00"
ROOT = Path(__file__).parents[2]

# Accuracy, high is good; a row of the paper's alone; one column; no budget of the paper's.
BIRDS: dict[str, Any] = {
    "title": "Birds",
    "caption": "Accuracy in percent",
    "seeds": 1,
    "only": None,
    "metric": {
        **{"name": "test_accuracy_percent", "label": "accuracy", "unit": "%"},
        **{"digits": 1, "paper_digits": 1, "better": "higher"},
    },
    "columns": [{"key": "224px", "label": "224 px", "overrides": {"data": "mnist_r"}}],
    "rows": [
        {"key": "simon", "label": "Simon 2015"},
        {"key": "cnn", "label": "CNN", "group": "CNN", "overrides": {"model": "cnn"}},
        {
            **{"key": "st", "label": "2xST-CNN", "group": "ST-CNN", "baseline": "cnn"},
            **{"cost": 2.0, "overrides": {"model": "st_cnn", "transform": "translation"}},
        },
    ],
    "paper": {"source": "Table 3", "numbers": {"224px": {"simon": 81.0, "cnn": 82.3, "st": 83.1}}},
}
# A study: rows of Table 1 plus one override, nothing of the paper's, no transformer to compare.
STUDY: dict[str, Any] = {
    "title": "Kernel size",
    "caption": "Test error in percent",
    "seeds": 2,
    "only": None,
    "metric": {
        **{"name": "test_error_percent", "label": "test error", "unit": "%"},
        **{"digits": 2, "paper_digits": 1, "better": "lower"},
    },
    "columns": [{"key": "R", "label": "rotated", "overrides": {"data": "mnist_r"}}],
    "rows": [
        {"key": "plain", "label": "CNN", "overrides": {"model": "cnn"}},
        {
            **{"key": "slow", "label": "CNN, slow"},
            "overrides": {"model": "cnn", "recipe.optimizer.lr": 1.0e-4},
        },
    ],
}


def planned(
    table: Table, recipe: str = "quick", seeds: Iterable[int] = range(3)
) -> list[PlannedRun]:
    """The runs of a table, named after their overrides instead of their configurations."""
    return [
        PlannedRun(run_id(column.overrides | row.overrides, recipe, seed), *rest)
        for seed in seeds
        for column in table.columns
        for row in table.rows
        if row.overrides
        for rest in [(row.key, column.key, seed, (), row.cost * column.cost, {})]
    ]


def run_id(overrides: Mapping[str, Any], recipe: str, seed: int) -> str:
    own = [f"{key}={value}" for key, value in overrides.items() if "." in key]
    names = [overrides[key] for key in ("model", "transform", "data") if overrides.get(key)]
    parts = [*names, *own, recipe, f"s{seed}", "0123456789"]
    return "-".join(parts).replace("=", "_")


def comparison_of(
    table: Table, records: Sequence[Record], recipe: str = "quick", **fields: Any
) -> Comparison:
    """Compare as if the code that makes records of `CODE` were today's."""
    runs = planned(table, recipe, {*range(3), *(record.seed for record in records)})
    today = {"is_current": lambda code, config: code == CODE} | fields
    return compare(table, recipe, runs, records, **today)


def changed(record: Record, **fields: Any) -> Record:
    """The record with other fields."""
    return Record(**record.model_dump() | fields)


@pytest.fixture
def table_config() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "conf/table/table1.yaml").read_text())


@pytest.fixture
def table(table_config: dict[str, Any]) -> Table:
    return parse_table("table1", table_config)


@pytest.fixture
def birds() -> Table:
    return parse_table("birds", BIRDS)


@pytest.fixture
def study() -> Table:
    return parse_table("study", STUDY)


@pytest.fixture
def make_record() -> MakeRecord:
    return synthetic_record


def synthetic_record(error: float | None = 1.25, **fields: Any) -> Record:
    """Make a synthetic record; of a run that is not finished if `status` says so."""
    values: dict[str, Any] = {
        "status": "finished",
        "task": "classification",
        "model": "cnn",
        "transform": None,
        "data": "mnist_r",
        "recipe": "quick",
        "seed": 0,
        "metrics": {"test_error_percent": error},
        "num_test": 10_000,
        "num_params": 118_961,
        "steps": 2140,
        "batch_size": 256,
        "step_ms": 0.0 if "wall_s" in fields else 12.5,
        "wall_s": max(41.0, (fields.get("steps") or 0) * (fields.get("step_ms") or 12.5) / 1000),
        "config": {"note": "synthetic", "recipe": {"lr": 0.002, "milestones": [1, 2]}},
        "git_sha": COMMIT,
        "git_dirty": False,
        "code": CODE,
        "versions": {"python": "3.12.0", "torch": "2.14.1"},
        "data_sha256": "5" * 64,
        "device": "a synthetic processor",
        "command": "python -m stn.train -m +table=table1 recipe=quick",
        "started_at": STARTED_AT,
        "finished_at": "2015-06-05T12:00:41+00:00" if "wall_s" not in fields else STARTED_AT,
        "peak_rss_mib": 612.5,
    } | fields
    if values["status"] != "finished":
        values = {"message": "loss is nan"} | values | {"metrics": fields.get("metrics", {})}
    values.setdefault("samples", (values["steps"] or 0) * values["batch_size"])
    values.setdefault("run_id", run_id(values, values["recipe"], values["seed"]))
    return Record(**values)


@pytest.fixture
def table_records(table: Table, make_record: MakeRecord) -> list[Record]:
    """A synthetic record of every cell, three seeds each; transformers err less."""
    records = []
    for index, run in enumerate(planned(table)):
        overrides = table.row(run.row).overrides
        base = {"fcn": 3.0, "cnn": 1.5, "st_fcn": 1.75, "st_cnn": 0.75}[overrides["model"]]
        error = round(base + 0.01 * (index * index * 7 % 11) + 0.02 * run.seed, 2)
        data = next(c for c in table.columns if c.key == run.column).overrides["data"]
        fields = {"transform": None} | overrides | {"data": data, "seed": run.seed}
        records.append(make_record(error, **fields, num_params=118_000 + 10 * index))
    return records
