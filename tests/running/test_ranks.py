"""A cell in two processes on the CPU, with gloo, against the same cell in this process."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from stn.callbacks.progress import Stopwatch
from stn.results.records import Record, read_record
from stn.running.cell import run_cell
from stn.running.preparing import Cell
from stn.running.ranks import KILLED_S, RankError, run_ranks
from stn.running.restoring import evaluate
from stn.tasks.task import DivergedError
from tests.small_mnist import KILL, SIZES, SPOIL
from tests.sweeps import FEW, run

MakeCell = Callable[..., Cell]
DDP = ("trainer=ddp", "trainer.accelerator=cpu")
# Adam would hide a gradient of the wrong size, and blow up the rounding of a tiny one.
SGD = ("recipe.optimizer._target_=torch.optim.SGD", "recipe.optimizer.lr=0.1")


@pytest.fixture
def small(make_cell: MakeCell, tmp_path: Path) -> MakeCell:
    """Makes a cell whose data need no file; its folder is below `where`."""

    def make(where: str, *overrides: str) -> Cell:
        module = "data.module._target_=tests.small_mnist.SmallMnist"
        cell = make_cell(
            module, "trainer.accelerator=cpu", f"runs_dir={tmp_path}/{where}", *overrides
        )
        return replace(cell, packages=("tests",))

    return make


def record_of(cell: Cell) -> Record:
    return read_record(cell.folder / "result.json")


def weights_of(cell: Cell) -> dict[str, torch.Tensor]:
    return torch.load(cell.folder / "weights.pt", weights_only=True)


def rows_of(cell: Cell) -> dict[tuple[str, str], float]:
    lines = (cell.folder / "metrics.csv").read_text().splitlines()[1:]
    rows = [line.split(",") for line in lines]
    assert len(rows) == len({(step, name) for step, name, _ in rows})  # each written once
    return {(step, name): float(value) for step, name, value in rows}


def test_two_processes_give_what_one_gives(
    small: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    network = ("model=st_cnn", "transform=tps")
    one = small("one", *SGD, *network)
    two = small("two", *DDP, *SGD, "logger=wandb", *network)
    assert one.run_id == two.run_id
    expected, environment = run_cell(one).metrics, dict(os.environ)
    assert run_cell(two).metrics == expected
    assert dict(os.environ) == environment  # the next cell of a sweep may run in one process
    ours, theirs = weights_of(two), weights_of(one)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-6)
    # A gradient of the wrong size is wrong by a factor; 16 steps blow rounding up to 2e-4.
    assert rows_of(two) == pytest.approx(rows_of(one), rel=2e-3, abs=1e-5)

    record, reference = record_of(two), record_of(one)
    assert record.device.startswith("2 x cpu: ")
    assert record.num_test == SIZES["test"]
    for field in ("num_params", "steps", "samples", "data_sha256"):
        assert getattr(record, field) == getattr(reference, field)
    assert len([*two.folder.glob("wandb/offline-run-*")]) == 1
    left = {path.name for path in two.folder.iterdir()} - {"wandb"}
    assert left >= {path.name for path in one.folder.iterdir()}
    found = evaluate(two.folder, "unused", ("tests",))  # in one process
    assert all(now == recorded for now, recorded in found.values())


@pytest.mark.integration
def test_a_killed_rank_ends_all_and_the_cell_goes_on_as_if_nothing_had_been(
    small: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, killed = small("whole", *DDP, "model=st_fcn"), small("killed", *DDP, "model=st_fcn")
    run_cell(whole)
    with monkeypatch.context() as patch:
        patch.setenv(KILL, "13")
        with pytest.raises(RankError, match="rank 1 ended with exit code -9"):
            run_cell(killed)
    assert not (killed.folder / "result.json").exists()
    run_cell(killed)
    ours, theirs = weights_of(killed), weights_of(whole)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert rows_of(killed) == rows_of(whole)


def lose_the_other(started: Path, stopwatch: Stopwatch, rank: int) -> dict[str, Any]:
    """Rank 0 says that it lost its connection, before it is seen that rank 1 is killed."""
    if rank == 0:
        while not started.exists():
            time.sleep(0.01)
        raise RuntimeError("connection reset")
    started.touch()
    time.sleep(KILLED_S / 4)
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def test_a_killed_rank_is_the_reason_though_others_speak_first(tmp_path: Path) -> None:
    with pytest.raises(RankError, match="rank 1 ended with exit code -9"):
        run_ranks(2, lose_the_other, None, tmp_path / "started")


def test_divergence_on_one_rank_ends_all(small: MakeCell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SPOIL, "3")
    cell = small("spoilt", *DDP, "model=fcn")
    with pytest.raises(DivergedError, match="the loss became nan at step 3"):
        run_cell(cell)
    record = record_of(cell)
    assert (record.status, record.steps, record.samples) == ("diverged", 3, 3 * 64)


@pytest.mark.integration
def test_joblib_workers_can_start_ranks(tmp_path: Path) -> None:
    code, said = run(tmp_path, "hydra/launcher=joblib", "model=fcn", *DDP, cells=FEW)
    assert code == 0, said
    (path,) = tmp_path.glob("*/result.json")
    assert read_record(path).device.startswith("2 x cpu")


def waits_for_ever(folder: Path, *rest: Any) -> dict[str, Any]:
    (folder / str(os.getpid())).touch()
    while True:
        time.sleep(1)


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")  # a zombie is dead, whoever should have buried it
    return status.exists() and "State:\tZ" not in status.read_text()


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.integration
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks into /proc")
def test_no_rank_outlives_a_killed_sweep(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    sweep = context.Process(target=run_ranks, args=(2, waits_for_ever, None, tmp_path))
    sweep.start()
    wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
    ranks = [int(path.name) for path in tmp_path.iterdir()]
    assert all(is_alive(pid) for pid in ranks)
    sweep.kill()
    wait_until(lambda: not any(is_alive(pid) for pid in ranks), seconds=10)
