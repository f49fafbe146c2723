"""docs/extending.md is true: its files are written, its commands run, its code is clean."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from stn.results.collect import collect

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/extending.md").read_text()
FILES = dict(re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", TEXT, re.DOTALL))
COMMANDS = re.search(r"```sh\n(.*?)```", TEXT, re.DOTALL)[1].splitlines()  # type: ignore[index]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a user has written all files and given all commands."""
    folder = tmp_path_factory.mktemp("extending")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{folder}", "OMP_NUM_THREADS": "1"}
    environment |= {"STN_RUNS_DIR": "runs", "STN_REPORTS_DIR": "reports"}
    for command in COMMANDS:
        words = [sys.executable if word == "python" else word for word in shlex.split(command)]
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return folder


def test_each_kind_is_there() -> None:
    folders = {Path(name).parent.as_posix() for name in FILES}
    assert folders == {"mine", *(f"mine/conf/{g}" for g in ("transform", "data", "model", "table"))}
    assert len(COMMANDS) == 4


def test_all_cells_ran(folder: Path) -> None:
    found = collect(folder / "runs")
    assert not found.problems
    names = sorted(record.run_id.rpartition("-")[0] for record in found.records)
    assert names == [
        *("fcn-bars-smoke-s0", "fcn-bars-smoke-s1", "small-affine-bars-smoke-s0"),
        *("small-stretch-bars-smoke-s0", "small-stretch-bars-smoke-s1"),
    ]
    assert {record.status for record in found.records} == {"finished"}


def test_the_table_is_rendered_and_drawn(folder: Path) -> None:
    reports = {path.name for path in (folder / "reports").iterdir()}
    assert {"bars_smoke.md", "bars_smoke.csv", "bars_smoke.tex"} <= reports
    table, _, _ = (folder / "reports/bars_smoke.md").read_text().partition("Where there is no")
    assert "| small |" in table
    assert "missing" not in table
    assert any(name.endswith(".png") for name in reports)
    assert list((folder / "runs").glob("small-stretch-*/panels/*.png"))


@pytest.mark.parametrize("command", [["check"], ["format", "--check", "--diff"]])
def test_the_code_is_clean(folder: Path, command: list[str]) -> None:
    ruff = [sys.executable, "-m", "ruff", *command, "--config", str(ROOT / "pyproject.toml")]
    done = subprocess.run([*ruff, str(folder / "mine")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
