"""The report as it would be sent; no server is asked."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from stn.callbacks.wandb import STEP, group_of, in_file_only
from stn.callbacks.warp_statistics import telling
from stn.results.table import Table, parse_table
from stn.transformers import ThinPlateSpline

wandb_report = pytest.importorskip("stn.wandb_report", reason="needs wandb-workspaces")
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tables(compose_train) -> list[Table]:
    return [
        parse_table(name, OmegaConf.to_container(compose_train(f"+table={name}").table))
        for name in ("table1", "table3")
    ]


@pytest.fixture(scope="module")
def grids(tables: list[Table]) -> list[dict[str, Any]]:
    report = wandb_report.report_on(tables, "quick", "project", "entity")
    spec = report._to_model().spec.model_dump(by_alias=True, exclude_none=True)
    return [block["metadata"] for block in spec["blocks"] if block["type"] == "panel-grid"]


def panels(grid: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel["config"] for panel in grid["panelBankSectionConfig"]["panels"]]


def test_a_grid_for_each_column_with_the_runs_of_its_cells(tables, grids) -> None:
    columns = [(table, column) for table in tables for column in table.columns]
    assert len(grids) == len(columns) + 1
    for (table, column), grid in zip(columns, grids, strict=False):
        (runs,) = grid["runSets"]
        (condition,) = runs["filters"]["filters"]
        assert condition["key"] == {"section": "run", "name": "group"}
        assert condition["value"] == [
            group_of(table.title, "quick", row.key, column.key) for row in table.rows
        ]
        bars = next(panel for panel in panels(grid) if "barLimit" in panel)
        assert bars["metrics"] == [table.metric.name]


def test_lines_have_the_step_of_the_optimiser_for_an_axis_and_show_what_is_logged(grids) -> None:
    lines = [panel for grid in grids for panel in panels(grid) if "xAxis" in panel]
    curves = [line for line in lines if isinstance(line.get("metrics"), list)]
    assert {line["xAxis"] for line in curves} == {STEP}
    shown = {name for line in curves for name in line["metrics"]}
    family = ThinPlateSpline((2, 3))
    logged = {f"warp/{name}" for name in telling(family, family.identity()[None])}
    assert {name for name in shown if name.startswith("warp/")} == logged
    assert not any(in_file_only(name) for name in shown)


def test_without_a_login_it_ends_with_one_line(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    command = [sys.executable, "-m", "stn.wandb_report"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "docs/wandb.md" in line
    assert (ROOT / "docs/wandb.md").exists()
