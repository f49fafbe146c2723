"""Synthetic records: made up by a formula, no run gave them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from stn.results.records import Record
from stn.results.table import TableSpec, cells, parse_table

MakeRecord = Callable[..., Record]
COMMIT, CODE = "c0ffee0" * 5, "c0de" * 3


@pytest.fixture
def table_config() -> dict[str, Any]:
    path = Path(__file__).parents[2] / "conf/table/table1.yaml"
    return yaml.safe_load(path.read_text())


@pytest.fixture
def spec(table_config: dict[str, Any]) -> TableSpec:
    return parse_table(table_config)


@pytest.fixture
def make_record() -> MakeRecord:
    """Make a synthetic record; of a run that is not finished if `status` says so."""

    def make(**fields: Any) -> Record:
        values: dict[str, Any] = {
            "status": "finished",
            "table": "table1",
            "model": "cnn",
            "transform": None,
            "data": "mnist_r",
            "recipe": "quick",
            "seed": 0,
            "test_error_percent": 1.25,
            "num_test": 10_000,
            "num_params": 118_961,
            "steps": 2140,
            "paper_steps": 150_000,
            "samples": 2140 * 256,
            "paper_samples": 150_000 * 256,
            "batch_size": 256,
            "step_ms": 12.5,
            "wall_s": 41.0,
            "config": {"note": "synthetic", "recipe": {"lr": 0.002, "milestones": [1, 2]}},
            "git_sha": COMMIT,
            "git_dirty": False,
            "code": CODE,
            "versions": {"python": "3.12.0", "torch": "2.14.1"},
            "data_sha256": "5" * 64,
            "device": "a synthetic processor",
            "command": "python -m stn.train -m +table=table1 recipe=quick",
            "started_at": "2015-06-05T12:00:00+00:00",
            "finished_at": "2015-06-05T12:00:41+00:00",
            "peak_rss_mib": 612.5,
        } | fields
        if values["status"] != "finished" and "test_error_percent" not in fields:
            values |= {"test_error_percent": None, "message": fields.get("message", "loss is nan")}
        parts = (values["model"], values["transform"], values["data"], f"s{values['seed']}")
        name = "-".join(part for part in parts if part)
        values.setdefault("run_id", f"{name}-{values['recipe']}-0123456789")
        return Record(**values)

    return make


@pytest.fixture
def table_records(spec: TableSpec, make_record: MakeRecord) -> list[Record]:
    """A synthetic record of every cell, three seeds each; transformers err less."""
    records = []
    for index, cell in enumerate(cells(spec, seeds=3)):
        base = {"fcn": 3.0, "cnn": 1.5, "st_fcn": 1.75, "st_cnn": 0.75}[cell.overrides["model"]]
        error = round(base + 0.01 * (index * 7 % 11) + 0.02 * cell.seed, 2)
        fields = {"transform": None} | dict(cell.overrides) | {"test_error_percent": error}
        records.append(make_record(**fields, num_params=118_000 + 10 * index))
    return records
