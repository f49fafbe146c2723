"""Sweeps with the launchers that run everywhere; Slurm and Ray are in tests/integration."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from stn.results.collect import collect
from tests.sweeps import FEW, end, has_checkpoint, run, same, start, wait_until, weights

CELLS = [*FEW, "model=fcn"]


def processes(*pattern: str) -> list[int]:
    found = subprocess.run(["pgrep", *pattern], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def statuses(runs_dir: Path) -> list[str]:
    return sorted(record.status for record in collect(runs_dir).records)


@pytest.mark.parametrize(
    "launcher", ["joblib", pytest.param("submitit_local", marks=pytest.mark.integration)]
)
def test_one_cell_fails_and_the_others_go_on(tmp_path: Path, launcher: str) -> None:
    sweep = [f"hydra/launcher={launcher}", "recipe.optimizer.lr=1e30,1e-3", "recipe.max_steps=12"]
    code, said = run(tmp_path, *sweep, cells=CELLS)
    assert code == 1
    assert "1 of 2 cells failed:" in said
    assert "DivergedError: the loss became" in said
    assert "Traceback" not in said
    assert "UserWarning" not in said
    assert statuses(tmp_path) == ["diverged", "finished"]
    assert not (tmp_path / ".sweep" / ".hydra").exists()


@pytest.mark.integration
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_after_a_killed_worker_the_same_command_goes_on(tmp_path: Path, launcher: str) -> None:
    cell = ["recipe.max_steps=1500"]
    sweep = start(tmp_path / "killed", f"hydra/launcher={launcher}", *cell, cells=CELLS)
    wait_until(lambda: has_checkpoint(tmp_path / "killed"))
    worker = {
        "joblib": ("-P", str(sweep.pid), "-f", "LokyProcess"),
        "submitit_local": ("-f", f"submitit.core._submit {tmp_path}/killed"),
    }
    pids = processes(*worker[launcher])
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    code, said = end(sweep)
    assert code == 1
    assert "1 of 1 cells failed:" in said
    assert "the launcher stopped, 1 of 1 cells are not finished: " in said
    assert "the same command goes on from the last checkpoints" in said
    assert "Traceback" not in said
    assert statuses(tmp_path / "killed") == []

    assert run(tmp_path / "killed", f"hydra/launcher={launcher}", *cell, cells=CELLS)[0] == 0
    assert run(tmp_path / "whole", *cell, cells=CELLS)[0] == 0
    assert same(weights(tmp_path / "killed"), weights(tmp_path / "whole"))
    assert statuses(tmp_path / "killed") == ["finished"]


@pytest.mark.integration
def test_an_interrupted_sweep_says_how_to_go_on(tmp_path: Path) -> None:
    sweep = start(
        tmp_path, "hydra/launcher=joblib", "seed=0,1", "recipe.max_steps=1500", cells=CELLS
    )
    wait_until(lambda: has_checkpoint(tmp_path))
    sweep.send_signal(signal.SIGINT)
    code, said = end(sweep)
    assert code == 1
    assert "interrupted: the same command goes on" in said
    assert "Traceback" not in said


@pytest.mark.integration
def test_cells_are_given_out_in_batches(tmp_path: Path) -> None:
    batches = ["hydra/launcher=joblib", "hydra.sweeper.max_batch_size=2", "seed=0,1,2"]
    code, said = run(tmp_path, *batches, "recipe.max_steps=2", cells=CELLS)
    assert code == 0, said
    assert statuses(tmp_path) == ["finished"] * 3
