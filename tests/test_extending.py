"""docs/extending.md is true: its files are written, its commands run, its code is clean."""

import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stn.results.collect import collect

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/extending.md").read_text()
FILES = dict(re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", TEXT, re.DOTALL))
COMMANDS = re.search(r"```sh\n(.*?)```", TEXT, re.DOTALL)[1].splitlines()  # type: ignore[index]


def code_of(command: Callable[[], None]) -> object:
    """What a command exits with, if it does: nothing where all is well."""
    try:
        command()
    except SystemExit as end:
        return end.code
    return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which a user has written all files and given all commands, in this process."""
    folder = tmp_path_factory.mktemp("extending")
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        patch.setenv("STN_RUNS_DIR", "runs")
        patch.setenv("STN_REPORTS_DIR", "reports")
        for command in COMMANDS:
            _, _, module, *arguments = shlex.split(command)
            patch.setattr(sys, "argv", [module, *arguments])
            assert not code_of(importlib.import_module(module).main), command
        yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "mine"]:
        del sys.modules[name]


def test_each_kind_is_there() -> None:
    folders = {Path(name).parent.as_posix() for name in FILES}
    assert folders == {"mine", *(f"mine/conf/{g}" for g in ("transform", "data", "model", "table"))}
    assert len(COMMANDS) == 4
    assert all(command.startswith("python -m stn.") for command in COMMANDS)


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
    done = subprocess.run([*ruff, folder / "mine"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
