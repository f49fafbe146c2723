"""Real faults: no room on the disk, folders that cannot be written, a service that is not there."""

import os
import re
import resource
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import wandb

from stn import train
from stn.callbacks.metrics import MetricsFile
from stn.callbacks.wandb import LenientWandbLogger
from stn.results.collect import collect
from stn.results.records import read_record
from stn.running import cell as cell_module
from stn.running.cell import run_cell
from stn.running.preparing import Cell
from tests.running.test_cell import assert_same, stop_at

MakeCell = Callable[..., Cell]


@contextmanager
def room_for(num_bytes: int) -> Iterator[None]:
    """Let the system refuse to write more than this to a file, in the midst of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def parts(folder: Path) -> list[Path]:
    return [*folder.glob(".*.part"), *folder.glob("new-*")]


@pytest.fixture
def whole(finished: MakeCell) -> Cell:
    """The cell as it ends when nothing happens."""
    return finished("model=st_fcn")


@pytest.mark.parametrize("at_step", [None, 13])
def test_no_room_for_a_checkpoint(
    make_cell: MakeCell, whole: Cell, monkeypatch: pytest.MonkeyPatch, at_step: int | None
) -> None:
    cell = make_cell("model=st_fcn")
    if at_step:
        stop_at(cell, at_step, monkeypatch)
    before = {p.name: p.read_bytes() for p in cell.folder.glob("*.ckpt")}
    assert len(before) == (at_step is not None)
    with room_for(200_000), pytest.raises(OSError, match=r"too large .* goes on.*last\.ckpt"):
        run_cell(cell)
    assert {p.name: p.read_bytes() for p in cell.folder.glob("*.ckpt")} == before
    assert not parts(cell.folder)
    assert not (cell.folder / "result.json").exists()
    run_cell(cell)
    assert_same(cell, whole)


def run_with_room(cell: Cell, owner: Any, write: str, num_bytes: int, says: str) -> None:
    """Run a cell whose `owner.write` has room for so many bytes only."""
    original = getattr(owner, write)

    def write_a_part(*args: Any) -> None:
        with room_for(num_bytes):
            original(*args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, write, write_a_part)
        with pytest.raises(OSError, match=says):
            run_cell(cell)


def test_no_room_for_the_record(make_cell: MakeCell, whole: Cell) -> None:
    cell = make_cell("model=st_fcn")
    says = r"too large .* goes on.*result\.json"
    run_with_room(cell, cell_module, "write_record", 1000, says)
    assert not (cell.folder / "result.json").exists()
    assert not parts(cell.folder)
    run_cell(cell)
    assert_same(cell, whole)


def test_no_room_for_metrics(
    make_cell: MakeCell, whole: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = make_cell("model=st_fcn")
    stop_at(cell, 13, monkeypatch)
    size = (cell.folder / "metrics.csv").stat().st_size
    run_with_room(cell, MetricsFile, "log_metrics", size + 10, r"too large .*metrics\.csv")
    run_cell(cell)
    assert_same(cell, whole)


def test_leftovers_of_a_killed_process_are_removed(make_cell: MakeCell) -> None:
    cell = make_cell("model=fcn", "recipe.max_steps=2")
    cell.folder.mkdir(parents=True)
    (cell.folder / ".last.ckpt.123.part").write_bytes(b"half")
    run_cell(cell)
    assert not parts(cell.folder)


@pytest.mark.parametrize(
    ("mode", "place"),
    [([], "runs"), (["-m"], "runs/fcn-mnist_r-smoke-s0-*"), ([], "*/last.ckpt")],
)
def test_a_folder_that_cannot_be_written_is_named_and_no_failure_of_the_cell(
    make_cell: MakeCell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: list[str],
    place: str,
) -> None:
    """Something else is in the way: root, too, cannot write there, whatever the modes say."""
    runs = tmp_path / "runs"
    monkeypatch.setenv("STN_RUNS_DIR", str(runs))
    settings = ["recipe=smoke", "recipe.batch_size=64", "data.module.num_val=128", "model=fcn"]
    folder = runs / make_cell("model=fcn", "recipe.max_steps=8").run_id
    obstacle = {"runs": runs, "*/last.ckpt": folder / "last.ckpt"}.get(place, folder)
    if obstacle.name == "last.ckpt":
        obstacle.mkdir(parents=True)
    else:
        obstacle.parent.mkdir(exist_ok=True)
        obstacle.touch()
    monkeypatch.setattr(sys, "argv", ["stn.train", *mode, "logger=csv", *settings])
    with pytest.raises(SystemExit) as stop:
        train.main()
    assert re.search(r"Error: \[Errno|is no folder", str(stop.value))
    assert str(obstacle) in str(stop.value)
    obstacle.rmdir() if obstacle.is_dir() else obstacle.unlink()
    train.main()
    assert [record.status for record in collect(runs).records] == ["finished"]


def test_an_unwritable_folder_of_wandb_does_not_stop_training(
    make_cell: MakeCell, whole: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    cell = make_cell("model=st_fcn", "logger=wandb")
    cell.folder.mkdir(parents=True)
    (cell.folder / "wandb").write_text("a file in the place of the folder")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run_cell(cell)
    told = [str(w.message) for w in caught if "goes on without" in str(w.message)]
    assert len(told) == 1
    assert f"{cell.folder}/wandb" in told[0]
    assert_same(cell, whole)
    assert read_record(cell.folder / "result.json").status == "finished"


def test_a_service_of_wandb_that_dies_does_not_stop_training(
    make_cell: MakeCell, whole: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    cell = make_cell("model=st_fcn", "logger=wandb")
    log, finish, ended = LenientWandbLogger.log_metrics, wandb.Run.finish, []

    def finish_and_tell(run: wandb.Run, **how: Any) -> None:
        ended.append(run.id)
        finish(run, **how)

    monkeypatch.setattr(wandb.Run, "finish", finish_and_tell)

    def log_after_its_death(self: LenientWandbLogger, *args: Any) -> None:
        def die(*args: Any, **kwargs: Any) -> None:
            raise ConnectionResetError("Connection lost")

        monkeypatch.setattr(type(self.experiment), "_log", die)
        log(self, *args)

    monkeypatch.setattr(LenientWandbLogger, "log_metrics", log_after_its_death)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run_cell(cell)
    told = [str(w.message) for w in caught if "goes on without W&B" in str(w.message)]
    assert told == [
        "training goes on without W&B, which failed: ConnectionResetError('Connection lost')"
    ]
    assert ended == [cell.run_id]  # or it would be open until this process ends
    assert_same(cell, whole)


@pytest.mark.integration
def test_without_a_network_and_from_an_empty_folder_it_is_said_what_to_do(tmp_path: Path) -> None:
    alone = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"]).returncode:
        pytest.skip("no network namespace can be made here")
    folders = {"HOME": str(tmp_path), "STN_DATA_DIR": str(tmp_path / "data")}
    ended = subprocess.run(
        [*alone, sys.executable, "-m", "stn.train", "recipe=smoke", "logger=csv", "model=fcn"],
        env=os.environ | folders | {"STN_RUNS_DIR": str(tmp_path / "runs")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("DataError: MNIST is incomplete")
    assert "Provide it in one of three ways" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert {path.name for path in (tmp_path / "data/mnist").iterdir()} == {".lock"}
    assert not collect(tmp_path / "runs").records
