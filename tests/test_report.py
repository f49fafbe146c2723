import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stn.results.collect import collect
from stn.results.comparison import compare
from stn.results.records import Record, write_record
from stn.results.table import parse_table
from stn.results.terminal import summary

ROOT = Path(__file__).parents[1]
DONE = {
    "run_id": "cnn-mnist_r-quick-s0-0123456789",
    "status": "finished",
    "table": "table1",
    "model": "cnn",
    "transform": None,
    "data": "mnist_r",
    "recipe": "quick",
    "seed": 0,
    "test_error_percent": 1.25,
    "num_test": 10_000,
    "num_params": 119_000,
    "steps": 100,
    "paper_steps": 150_000,
    "samples": 25_600,
    "paper_samples": 38_400_000,
    "batch_size": 256,
    "step_ms": 12.5,
    "wall_s": 41.0,
    "config": {"note": "synthetic"},
    "git_sha": "c0ffee0" * 5,
    "git_dirty": False,
    "versions": {"torch": "2.14.1"},
    "data_sha256": "5" * 64,
    "device": "a synthetic processor",
    "command": "python -m stn.train model=cnn",
    "started_at": "2015-06-05T12:00:00+00:00",
    "finished_at": "2015-06-05T12:00:41+00:00",
}


def report(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("STN_")}
    environment |= {"COLUMNS": "80", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "stn.report", *overrides]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with a finished run, one of another recipe, and a damaged record; synthetic."""
    write_record(tmp_path / "runs" / DONE["run_id"] / "result.json", Record(**DONE))
    smoke = Record(**DONE | {"recipe": "smoke", "run_id": "cnn-smoke-0123456789"})
    write_record(tmp_path / "runs/smoke/result.json", smoke)
    (tmp_path / "runs/broken").mkdir()
    (tmp_path / "runs/broken/result.json").write_text(json.dumps(DONE)[:100])
    return tmp_path


def test_report_says_what_there_is_and_leaves_nothing_else(runs):
    done = report(runs)
    assert done.returncode == 0, done.stderr
    assert "1 finished, 47 missing" in done.stdout
    assert "cannot use runs/broken/result.json: is not JSON" in done.stdout
    assert "1 runs of recipe smoke" in done.stdout
    assert "1.2/1.25" in done.stdout
    written = {path.name for path in (runs / "reports").iterdir()}
    assert written == {"table1.md", "table1.csv", "table1.tex"}
    assert {path.name for path in runs.iterdir()} == {"runs", "reports"}


def test_export_and_render_from_the_export(runs):
    done = report(runs, "export=results/table1/quick", "out=a")
    assert "copied 1 records to results/table1/quick" in done.stdout
    assert len(collect(runs / "results").records) == 1
    assert report(runs, "source=results/table1/quick", "out=b").returncode == 0
    for suffix in ("md", "csv", "tex"):
        first, second = (runs / out / f"table1.{suffix}" for out in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()


def test_without_runs(tmp_path):
    done = report(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "there is no record in runs" in done.stdout
    assert "48 missing" in done.stdout


def test_unknown_table_lists_the_known(tmp_path):
    done = report(tmp_path, "table=table9")
    assert done.returncode != 0
    assert "table1" in done.stderr
    assert not (tmp_path / "reports").exists()


def test_an_unknown_column_is_said_in_one_line(tmp_path):
    done = report(tmp_path, "table.only=[nowhere]")
    assert done.returncode == 1
    assert done.stderr == "unknown column nowhere; there are: R, RTS, P, E, TC, MNIST\n"
    assert not (tmp_path / "reports").exists()


def test_a_run_is_marked_when_the_recipe_is_no_longer_the_one_it_had(tmp_path):
    path = ROOT / "results/table1/quick/cnn-mnist_r-quick-s0-f8c74354d1.json"
    (tmp_path / "runs").mkdir()
    shutil.copy(path, tmp_path / "runs")
    for override, is_marked in (
        ("recipe.watch.log_every_n_steps=7", False),
        ("recipe.optimizer.lr=0.1", True),
    ):
        assert report(tmp_path, override).returncode == 0
        assert ("¶" in (tmp_path / "reports/table1.md").read_text()) is is_marked


def test_report_needs_no_torch():
    program = (
        "import sys, stn.report\n"
        "slow = {'torch', 'pytorch_lightning', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_summary_counts_cells():
    spec = parse_table(yaml.safe_load((ROOT / "conf/table/table1.yaml").read_text()))
    text = summary(compare(spec, [Record(**DONE)], "quick", "c0de" * 3))
    assert text == (
        "48 cells: 1 finished, 47 missing; 1 with less than the paper's training budget."
    )
