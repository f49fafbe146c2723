"""Signals in each phase of the sweep of a table: the same command finishes what is missing.

Unlike in `test_kills.py` the moments are chosen and not drawn: just before a file of a phase is in
its place. `config.yaml` comes before the data, `progress.json` in training, `last.ckpt` after an
epoch, `weights.pt` before the test, `result.json` at the end of a cell; the report of the table is
written between cells, by the process of the sweep.
"""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from stn.results.collect import collect
from tests.running.test_cell import one_wrong_bit
from tests.sweeps import FEW, run, start
from tests.test_kills import assert_same

R = [*FEW, "recipe.max_steps=20", "+table=table1", "table.only=[R]"]
MOMENTS = ["config.yaml", "progress.json", "last.ckpt", "weights.pt", "result.json"]
JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
SUBMITIT = ["hydra/launcher=submitit_local", "hydra.sweeper.max_batch_size=2"]
DDP = ["trainer=ddp", "trainer.accelerator=cpu"]


def interrupt(runs: Path, number: int, moment: str, *overrides: str, cells: list[str]) -> str:
    """Start a sweep to which a signal comes; return what it said. Its records are whole."""
    marker = runs.with_name(f"{moment} {number}")
    sweep = start(runs, *overrides, cells=cells, signalled=f"{number} {moment} {marker}")
    code = sweep.wait(300)
    with suppress(ProcessLookupError):  # workers of joblib finish their cell, and wait for more
        os.killpg(sweep.pid, signal.SIGKILL)
    said, _ = sweep.communicate()
    assert marker.exists(), f"it ended before {moment}: {said}"
    assert code != 0, said
    assert "Traceback" not in said, said
    found = collect(runs)
    assert not found.problems
    assert {record.status for record in found.records} <= {"finished"}
    return said


def run_to_its_end(runs: Path, *overrides: str, cells: list[str]) -> None:
    code, said = run(runs, *overrides, cells=cells, timeout_s=900)
    assert code == 0, said


@pytest.mark.integration
@pytest.mark.parametrize(
    ("launcher", "signals"),
    [
        (JOBLIB, [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]),
        (SUBMITIT, [signal.SIGTERM, signal.SIGKILL]),
    ],
    ids=["joblib", "submitit_local"],
)
def test_a_table_goes_on_after_signals_in_every_phase(
    tmp_path: Path, launcher: list[str], signals: list[int]
) -> None:
    whole, runs = tmp_path / "whole", tmp_path / "runs"
    run_to_its_end(whole, *JOBLIB, cells=R)
    for number in signals:
        for moment in MOMENTS:
            interrupt(runs, number, moment, *launcher, cells=R)
        if launcher is JOBLIB:
            interrupt(runs, number, "table1_smoke.md", *launcher, cells=R)
    run_to_its_end(runs, *launcher, cells=R)
    assert len(collect(runs).records) == 8
    assert_same(runs, whole)
    rendered = [tmp_path / f"{name} reports/table1_smoke.tex" for name in ("runs", "whole")]
    assert rendered[0].read_bytes() == rendered[1].read_bytes()  # which tells no times


@pytest.mark.integration
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_cell_over_two_devices_goes_on_after_signals(tmp_path: Path, number: int) -> None:
    cells = [*FEW, *DDP, "model=fcn", "recipe.max_steps=20"]
    run_to_its_end(tmp_path / "whole", cells=cells)
    for moment in MOMENTS:
        interrupt(tmp_path / "runs", number, moment, cells=cells)
    run_to_its_end(tmp_path / "runs", cells=cells)
    assert_same(tmp_path / "runs", tmp_path / "whole")


@pytest.mark.integration
@pytest.mark.parametrize("more", [JOBLIB, DDP], ids=["joblib", "ddp"])
def test_damaged_files_are_passed_over_whatever_runs_the_cells(
    tmp_path: Path, more: list[str]
) -> None:
    cells = [*FEW, *more, "model=fcn", "seed=0,1,2,3", "recipe.max_steps=20"]
    whole, runs = tmp_path / "whole", tmp_path / "runs"
    run_to_its_end(whole, cells=cells)
    run_to_its_end(runs, cells=cells)
    folders = sorted(runs.glob("fcn-*"))
    for folder in folders[:3]:
        (folder / "result.json").unlink()
    (folders[0] / "last.ckpt").write_bytes(one_wrong_bit((folders[0] / "last.ckpt").read_bytes()))
    (folders[1] / "metrics.csv").unlink()
    (folders[1] / "config.yaml").write_text("a: &a [1]\nb: [*a]")
    (folders[2] / "last.ckpt").write_bytes((folders[3] / "last.ckpt").read_bytes())
    (folders[3] / "result.json").write_bytes((folders[3] / "result.json").read_bytes()[:100])
    run_to_its_end(runs, cells=cells)
    for path in (folders[0] / "last.ckpt.damaged", folders[2] / "last.ckpt.stranger"):
        assert path.exists()
        path.unlink()
    assert_same(runs, whole)
