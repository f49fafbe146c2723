import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from stn.report import main
from stn.results.collect import collect
from stn.results.records import write_record
from tests.results.conftest import BIRDS, STUDY, changed, synthetic_record

ROOT = Path(__file__).parents[1]
CNN_R = next((ROOT / "results/table1/quick").glob("cnn-mnist_r-quick-s0-*.json"))
Report = Callable[..., str]


@pytest.fixture
def report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Report:
    """Run the command in this process, in an empty folder; return what it says."""
    for name in ("STN_RUNS_DIR", "STN_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)

    def run(*overrides: str) -> str:
        monkeypatch.setattr(sys, "argv", ["stn.report", *overrides])
        main()
        return capsys.readouterr().out

    return run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with a committed record, one of no cell of today, and a damaged one."""
    (tmp_path / "runs/broken").mkdir(parents=True)
    shutil.copy(CNN_R, tmp_path / "runs")
    other = synthetic_record()
    write_record(tmp_path / "runs" / other.run_id / "result.json", other)
    (tmp_path / "runs/broken/result.json").write_bytes(CNN_R.read_bytes()[:100])
    return tmp_path


@pytest.fixture
def tables(tmp_path: Path) -> str:
    """A folder of configurations from outside, with two tables."""
    (tmp_path / "mine/table").mkdir(parents=True)
    for name, content in (("birds", BIRDS), ("study", STUDY)):
        (tmp_path / f"mine/table/{name}.yaml").write_text(yaml.safe_dump(content))
    return f"--config-dir={tmp_path}/mine"


def test_report_says_what_there_is_and_leaves_nothing_else(report: Report, runs: Path) -> None:
    said = report("costs=[]")
    assert "48 cells: 1 finished, 47 missing; 1 with less than the paper's" in said
    assert "cannot use runs/broken/result.json: is not JSON" in said
    assert "runs that are not in this table: 1 of recipe quick" in said
    assert re.search(r"1\.2/\d\.\d\d", said)
    written = {path.name for path in (runs / "reports").iterdir()}
    assert written == {"table1_quick.md", "table1_quick.csv", "table1_quick.tex"}
    assert {path.name for path in runs.iterdir()} == {"runs", "reports"}


def test_records_of_a_recipe_that_the_data_of_a_table_lack_are_counted(
    report: Report, runs: Path
) -> None:
    record = next((ROOT / "results/table1/fast").glob("*.json"))
    shutil.copy(record, runs / "runs")
    assert "1 of recipe fast" in report("table=table2")


def test_export_and_render_from_the_export(report: Report, runs: Path) -> None:
    said = report("export=results/table1/quick", "out=a", "costs=[]", "table.only=[R]")
    assert "copied 1 records to results/table1/quick" in said
    assert len(collect(runs / "results").records) == 1
    report("source=results/table1/quick", "out=b", "costs=[]", "table.only=[R]")
    for suffix in ("md", "csv", "tex"):
        first, second = (runs / out / f"table1_quick.{suffix}" for out in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()


def test_nothing_in_the_source_replaces_no_table(report: Report, runs: Path) -> None:
    report("table.only=[R]", "costs=[]")
    before = (runs / "reports/table1_quick.md").read_bytes()
    said = report("table.only=[R]", "source=nowhere")
    assert "there is no record in nowhere" in said
    assert "left as they are: reports/table1_quick.*" in said
    assert (runs / "reports/table1_quick.md").read_bytes() == before
    said = report("table.only=[R]", "source=nowhere", "recipe=smoke")
    assert "8 missing" in said
    assert "wrote reports/table1_smoke.md" in said


def test_chosen_columns_are_shown_and_drawn(report: Report, runs: Path) -> None:
    said = report("table.only=[E,R]")
    assert "16 cells" in said
    assert "wrote reports/table1_costs.png" in said
    header = (runs / "reports/table1_quick.md").read_text().split("\n| |")[1]
    assert header.startswith(" R | E |")


def test_a_table_from_outside_that_shares_runs(report: Report, runs: Path, tables: str) -> None:
    said = report(tables, "table=study", "recipe=quick")
    assert "2 cells: 1 incomplete, 1 missing" in said
    written = {path.name for path in (runs / "reports").iterdir()}
    tables, pictures = {f"study_quick.{e}" for e in ("md", "csv", "tex")}, {"png", "svg"}
    assert written == tables | {f"study_costs.{ending}" for ending in pictures}


def test_a_table_of_another_metric_with_rows_of_the_paper_alone(
    report: Report, runs: Path, tables: str
) -> None:
    path = next((runs / "runs").glob("cnn-mnist_r-*.json"))
    (record,) = (r for r in collect(runs / "runs").records if r.run_id == path.stem)
    write_record(path, changed(record, metrics={"test_accuracy_percent": 82.25}))
    said = report(tables, "table=birds")
    assert re.search(r"Simon 2015 +81\.0/–", said)
    assert "82.3/82.2" in said
    assert "2 cells: 1 finished, 1 missing" in said
    assert (runs / "reports/birds_costs.png").exists()


@pytest.mark.parametrize(
    ("override", "is_there"),
    [
        ("overrides=['recipe.max_steps=4290']", True),
        ("overrides=['recipe.watch.log_every_n_steps=7','trainer.threads=2']", True),
        ("overrides=['recipe.max_steps=100']", False),
        ("++recipe.max_steps=100", False),
    ],
)
def test_a_table_is_found_with_the_overrides_that_it_was_run_with(
    report: Report, runs: Path, override: str, is_there: bool
) -> None:
    said = report("table.only=[R]", "costs=[]", override)
    assert ("1 finished" in said) is is_there


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["table.only=[nowhere]"], "table/table1.yaml: only: unknown column nowhere; there are: R"),
        (["table.only=[]"], "table/table1.yaml: only: names no column"),
        (["+table.colour=1"], "table/table1.yaml: 'colour': there is no such key"),
        (["costs=[nowhere]"], "costs: the table has no column nowhere"),
        (["overrides=['model=cnn']"], "model: a table sets model, transform, data, seed itself"),
        (["overrides=['recipe.nothing=1']"], "Could not override 'recipe.nothing'"),
    ],
)
def test_a_mistake_is_said_in_one_line(report: Report, overrides: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as stop:
        report(*overrides)
    assert str(stop.value).startswith(message)
    assert not Path("reports").exists()


@pytest.mark.parametrize("override", ["table=table9", "recipe=none", "nonsense=1", "table.x=1"])
def test_what_is_not_there_is_refused_by_name(
    report: Report, capsys: pytest.CaptureFixture[str], override: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        report(override)
    said = f"{stop.value}{capsys.readouterr().err}"
    assert override.split("=")[-2].split(".")[-1] in said
    assert not Path("reports").exists()


def test_report_needs_no_torch() -> None:
    program = (
        "import sys, stn.report\n"
        "slow = {'torch', 'pytorch_lightning', 'pandas', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_few_characters_gets_what_it_can_show(
    report: Report, runs: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    report("table.only=[R]", "costs=[]")
    terminal.flush()
    said = terminal.buffer.getvalue()  # type: ignore[attr-defined]
    assert b"wrote" in said
    assert (b"?" in said) is (encoding == "ascii")  # of the dots for what is missing


def test_files_come_before_the_terminal(
    report: Report, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("the terminal is gone")

    monkeypatch.setattr("rich.console.Console.print", refuse)
    with pytest.raises(SystemExit, match="the terminal is gone"):
        report("table.only=[R]", "costs=[]")
    written = {path.suffix for path in (runs / "reports").iterdir()}
    assert written == {".md", ".csv", ".tex"}
