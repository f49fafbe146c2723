"""The commands, in this process, so that they see the small MNIST."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from stn import train
from stn.callbacks.progress import Stopwatch
from stn.data import mnist
from stn.results.collect import collect
from tests.pages.conftest import DIGITS

SMALL = [
    "recipe=smoke",
    "logger=csv",
    "recipe.batch_size=64",
    "recipe.max_steps=3",
    "data.module.num_val=128",
]
Run = Callable[..., None]


@pytest.fixture
def run(mnist_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("STN_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("STN_REPORTS_DIR", str(tmp_path / "reports"))

    def run_with(*overrides: str) -> None:
        monkeypatch.setattr(sys, "argv", ["stn.train", *overrides, *SMALL])
        train.main()

    return run_with


def names(tmp_path: Path) -> list[str]:
    return sorted(record.run_id[:-11] for record in collect(tmp_path / "runs").records)


def test_one_cell(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("model=st_fcn", "transform=projective", "data=mnist_p", "seed=4")
    (record,) = collect(tmp_path / "runs").records
    assert record.run_id.startswith("st_fcn-projective-mnist_p-smoke-s4-")
    assert record.command.startswith("python -m stn.train model=st_fcn transform=projective")
    assert record.config["recipe"]["max_steps"] == record.steps == 3
    assert "test error" in capsys.readouterr().out


def test_lists_are_swept_and_a_cell_is_run_once(run: Run, tmp_path: Path) -> None:
    run("-m", "model=fcn,st_fcn", "transform=affine,tps", "seed=0,1")
    assert names(tmp_path) == [
        "fcn-mnist_r-smoke-s0",
        "fcn-mnist_r-smoke-s1",
        "st_fcn-affine-mnist_r-smoke-s0",
        "st_fcn-affine-mnist_r-smoke-s1",
        "st_fcn-tps-mnist_r-smoke-s0",
        "st_fcn-tps-mnist_r-smoke-s1",
    ]


def test_a_table_is_run_then_found_done(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine/table").mkdir(parents=True)
    (tmp_path / "mine/table/digits.yaml").write_text(yaml.safe_dump(DIGITS))
    table = ("-m", f"--config-dir={tmp_path}/mine", "+table=digits", "table.only=[R]")
    run(*table)
    assert names(tmp_path) == ["cnn-mnist_r-smoke-s0", "st_cnn-affine-mnist_r-smoke-s0"]
    report = (tmp_path / "reports/digits_smoke.md").read_text()
    assert report.count("(missing)") + report.count("*missing*") >= 2  # the other column
    capsys.readouterr()
    run(*table)
    assert "2 cells, 2 already done" in capsys.readouterr().out


def test_a_sweep_goes_on_after_a_failure_and_fails_at_the_end(run: Run, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"1 of 2 cells failed:\n.*DivergedError"):
        run("-m", "model=fcn", "recipe.optimizer.lr=1e30,1e-3")
    statuses = {record.status for record in collect(tmp_path / "runs").records}
    assert statuses == {"finished", "diverged"}
    with pytest.raises(SystemExit, match=r"1 of 2 cells failed:\n.*in an earlier sweep"):
        run("-m", "model=fcn", "recipe.optimizer.lr=1e30,1e-3")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["-m", "+table=table1", "table.only=[R,XX]"], "unknown column XX; there are: R, RTS"),
        (["model=fcn", "recipe.optimizer.lr=1e30"], "DivergedError: the loss became"),
        (["-m", "+table=table1", "table.only=[]"], "no cells"),
        (["-m", "retry=all"], "retry: Input should be 'failed' or 'diverged', found 'all'"),
        (["retry=all"], "retry: Input should be 'failed' or 'diverged', found 'all'"),
        (["+data.surplus=1"], "+data.surplus: nothing reads this key"),
        (["-m", "+token=abc"], "'token': there is no such key"),
        (["-m", "+table=table1", "seed=5"], "seed: a table sets model, transform, data, seed"),
        (["-m", "+table=table1", "model=cnn", "data=mnist"], "model, data: a table sets"),
        (["trainer.accelerator=abacus"], "TrainerError: "),
        (["+table=table1"], "a table is a sweep over its cells: say -m +table=..."),
        (["+data.module.batch_size=64"], "batch_size is the cell's"),
        (["seed=-1"], "seed: Input should be greater than or equal to 0, found -1"),
        (["runs_dir=/dev/null/runs"], "NotADirectoryError"),
    ],
)
def test_a_mistake_is_named_in_a_line(run: Run, overrides: list[str], message: str) -> None:
    with pytest.raises(SystemExit) as stop:
        run(*overrides)
    assert message in str(stop.value)


def test_trials_are_run_though_their_cells_are_done(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("-m", "model=fcn")
    for _ in range(2):
        run("-m", "model=fcn", "tune=true")
        said = capsys.readouterr().out
        assert "1 cells, 0 already done" in said
        assert "val_error_percent" in said
    assert len(names(tmp_path)) == 1


@pytest.mark.parametrize("mode", [[], ["-m"]])
def test_missing_data_are_said_once(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: list[str]
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(mnist, "fetch_mnist", lambda data_dir: None)
    with pytest.raises(SystemExit) as stop:
        run(*mode, "model=fcn,st_fcn" if mode else "model=fcn", f"data_dir={tmp_path}/empty")
    assert str(stop.value).count("DataError") == 1
    assert not collect(tmp_path / "runs").records


def test_an_interrupted_cell_says_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Stopwatch, "on_train_batch_end", interrupt)
    for mode in ([], ["-m"]):
        with pytest.raises(SystemExit, match="the same command goes on"):
            run(*mode, "model=fcn")
