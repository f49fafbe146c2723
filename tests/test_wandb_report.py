"""The report as it would be sent; no server is asked."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from stn.callbacks.wandb import STEP, group_of, in_file_only
from stn.results.table import Table, parse_table
from stn.running.cell import run_cell
from tests.wandb_files import history, records

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


def test_what_is_shown_is_what_a_run_logs(grids, make_cell, monkeypatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    overrides = ["model=parallel_st_fcn", "transform=affine", "data=mnist_r", "logger=wandb"]
    cell = make_cell(*overrides)
    run_cell(cell)
    (path,) = cell.folder.glob("wandb/offline-run-*/*.wandb")
    told = [*records(path)]
    rows = {name.removesuffix("/_type") for row in history(path) for name in row}
    updates = [u for r in told for u in (*r.summary.update, *r.config.update, *r.run.config.update)]
    logged = rows | {u.key or "/".join(u.nested_key) for u in updates}

    of_table_1 = [panel for grid in (*grids[:6], grids[-1]) for panel in panels(grid)]
    lines = [panel for panel in of_table_1 if isinstance(panel.get("metrics"), list)]
    curves = [line for line in lines if "xAxis" in line]
    assert {line["xAxis"] for line in curves} == {STEP}
    shown = {name for line in lines for name in line["metrics"]}
    shown |= {key for panel in of_table_1 for key in panel.get("mediaKeys", [])}
    for panel in of_table_1:
        axes = (panel.get("xAxis", STEP), panel.get("yAxis", STEP))
        shown |= {axis.partition(":")[2].removesuffix(".value") or axis for axis in axes}
    others = {n for n in shown if n.startswith(("warp_3", "warp_4")) or n.endswith("shift_z")}
    assert len(shown) > 25
    assert shown - others <= logged
    assert {name for name in logged if name.startswith("warp")} <= shown
    assert not any(in_file_only(name) for name in shown)


def test_without_a_login_it_ends_with_one_line(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    command = [sys.executable, "-m", "stn.wandb_report"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "docs/wandb.md" in line
    assert (ROOT / "docs/wandb.md").exists()
