import importlib
import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from omegaconf import OmegaConf
from torch import nn

from stn.callbacks.progress import Stopwatch
from stn.data.mnist import MnistDataModule
from stn.files.locks import CellBusyError
from stn.files.verified import DataError
from stn.results.code import code_id
from stn.results.records import Record, RecordError, read_record
from stn.running import cell as cell_module
from stn.running import unwanted_warnings
from stn.running.cell import run_cell
from stn.running.preparing import Cell
from stn.tasks.task import DivergedError

MakeCell = Callable[..., Cell]


def record_of(cell: Cell) -> Record:
    return read_record(cell.folder / "result.json")


def test_a_cell_leaves_what_it_promises(finished: MakeCell) -> None:
    cell = finished("model=st_cnn", "transform=tps")
    record = record_of(cell)
    assert record.status == "finished"
    assert record.metrics.keys() == {"val_error_percent", "test_error_percent"}
    assert (record.model, record.transform, record.data) == ("st_cnn", "tps", "mnist_r")
    assert (record.steps, record.num_test, record.samples) == (20, 150, 20 * 64)
    left = {path.name for path in cell.folder.iterdir()}
    assert {"config.yaml", "metrics.csv", "last.ckpt", "weights.pt", "panels"} <= left


def test_a_finished_cell_is_not_run_again(finished: MakeCell) -> None:
    cell = finished("model=fcn")
    before = (cell.folder / "result.json").stat().st_mtime_ns
    assert run_cell(cell).metrics == record_of(cell).metrics
    assert (cell.folder / "result.json").stat().st_mtime_ns == before


def test_what_a_record_would_refuse_is_refused_before_the_first_step(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = make_cell("model=fcn")
    monkeypatch.setattr(MnistDataModule, "data_sha256", lambda self: "abc")
    with pytest.raises(RecordError, match="data_sha256"):
        run_cell(cell)
    assert {path.name for path in cell.folder.iterdir()} <= {"config.yaml", ".lock"}


@pytest.mark.parametrize(("model", "stop_step"), [("st_cnn", 3), ("fcn", 8), ("st_cnn", 13)])
def test_a_resumed_cell_equals_an_uninterrupted_one(
    make_cell: MakeCell,
    finished: MakeCell,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    stop_step: int,
) -> None:
    whole, stopped = finished(f"model={model}"), make_cell(f"model={model}")
    stop_at(stopped, stop_step, monkeypatch)
    assert not (stopped.folder / "result.json").exists()
    run_cell(stopped)

    assert_same(stopped, whole)
    differ = {"step_ms", "wall_s", "cpu_s", "peak_rss_mib", "started_at", "finished_at", "config"}
    same = [
        {k: v for k, v in vars(record_of(c)).items() if k not in differ} for c in (stopped, whole)
    ]
    assert same[0] == same[1]


def test_a_cell_that_goes_on_with_other_code_tells_no_code(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changed, same = make_cell("model=fcn"), make_cell("model=fcn", "seed=1")
    with monkeypatch.context() as patch:
        patch.setattr(cell_module, "code_id", lambda config: "0ddc0de00000")
        stop_at(changed, 13, monkeypatch)
    stop_at(changed, 18, monkeypatch)  # whoever goes on from its checkpoint knows no better
    stop_at(same, 13, monkeypatch)
    assert f"{changed.run_id}: goes on from a checkpoint of other code" in capsys.readouterr().err
    for cell in (changed, same):
        run_cell(cell)
    assert record_of(changed).code is None
    assert record_of(same).code == code_id(same.config)
    said = capsys.readouterr().err
    assert said.count("other code") == said.count(changed.run_id) == 1


class WithDropout(nn.Sequential):
    """A network that draws in training."""

    def __init__(self) -> None:
        super().__init__(
            nn.Flatten(), nn.Dropout(0.5), nn.Linear(784, 16), nn.Dropout(0.5), nn.Linear(16, 10)
        )


def with_dropout(cell: Cell) -> Cell:
    network = {"_target_": f"{__name__}.WithDropout"}
    model = {**cell.config["model"], "network": network}
    return replace(cell, config={**cell.config, "model": model}, packages=("tests",))


def test_dropout_of_a_resumed_cell_is_that_of_an_uninterrupted_one(
    make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, stopped, other = (
        with_dropout(make_cell("model=fcn", f"runs_dir={tmp_path}/{name}", f"seed={seed}"))
        for name, seed in (("whole", 0), ("stopped", 0), ("other", 1))
    )
    run_cell(whole)
    torch.rand(7)  # history must not matter
    stop_at(stopped, 13, monkeypatch)
    torch.rand(5)
    run_cell(stopped)
    assert_same(stopped, whole)
    run_cell(other)
    with pytest.raises(AssertionError):
        assert_same(other, whole)


@pytest.mark.parametrize("max_steps", [16, 20])  # at and after the end of an epoch
def test_a_cell_killed_after_training_ends_the_same(
    make_cell: MakeCell, finished: MakeCell, monkeypatch: pytest.MonkeyPatch, max_steps: int
) -> None:
    steps = f"recipe.max_steps={max_steps}"
    whole, killed = (make("model=st_fcn", steps) for make in (finished, make_cell))

    def kill(*args: Any) -> None:
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(cell_module, "save", kill)
        with pytest.raises(SystemExit):
            run_cell(killed)
    run_cell(killed)
    assert_same(killed, whole)


@pytest.mark.parametrize("content", ["", '{"status": "finished"}'])
def test_a_torn_or_foreign_record_is_named_and_not_done(
    make_cell: MakeCell, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    cell = make_cell("model=fcn", "recipe.max_steps=2")
    cell.folder.mkdir(parents=True)
    (cell.folder / "result.json").write_text(content)
    run_cell(cell)
    assert record_of(cell).status == "finished"
    assert f"{cell.folder}/result.json" in capsys.readouterr().err


def test_the_record_of_another_cell_is_named_and_not_done(
    finished: MakeCell, make_cell: MakeCell, capsys: pytest.CaptureFixture[str]
) -> None:
    other, cell = finished("model=fcn"), make_cell("model=fcn", "recipe.max_steps=2", "seed=2")
    cell.folder.mkdir(parents=True)
    shutil.copy(other.folder / "result.json", cell.folder)
    run_cell(cell)
    assert (record_of(cell).run_id, record_of(cell).seed) == (cell.run_id, 2)
    said = f"{cell.folder}/result.json: holds the record of another run, {other.run_id}"
    assert said in capsys.readouterr().err


def test_divergence_gives_a_record_without_a_number(make_cell: MakeCell) -> None:
    cell = make_cell("model=fcn", "recipe.optimizer.lr=1e30")
    with pytest.raises(DivergedError, match="the loss became"):
        run_cell(cell)
    record = record_of(cell)
    assert (record.status, record.metrics) == ("diverged", {})
    assert "the loss became" in str(record.message)


def test_two_at_once_refuse(make_cell: MakeCell) -> None:
    cell = make_cell("model=fcn")
    cell.folder.mkdir(parents=True)
    with FileLock(cell.folder / ".lock"), pytest.raises(CellBusyError, match="another process"):
        run_cell(cell)
    assert not (cell.folder / "result.json").exists()


def test_a_failure_is_recorded_and_raised(make_cell: MakeCell, monkeypatch: Any) -> None:
    cell = make_cell("model=fcn")

    count = Stopwatch.on_train_batch_end

    def fail(*args: Any) -> None:
        count(*args)
        raise RuntimeError("no more paper")

    monkeypatch.setattr(Stopwatch, "on_train_batch_end", fail)
    with pytest.raises(RuntimeError, match="no more paper"):
        run_cell(cell)
    assert record_of(cell).status == "failed"
    assert "no more paper" in str(record_of(cell).message)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("recipe.optimizer.lr=-1", "ValueError: Invalid learning rate"),
        ("~recipe.scheduler.lr_lambda", "TypeError: "),
        ("data.channels=3", "RuntimeError: mat1 and mat2"),
        ("model.network.build.num_classes=5", "IndexError: Target"),
    ],
)
def test_a_cell_of_which_no_step_can_be_made_is_refused_and_not_recorded(
    make_cell: MakeCell, override: str, says: str
) -> None:
    cell = make_cell("model=fcn", override)
    with pytest.raises(ValueError, match=f"^no step can be made: {says}") as refused:
        run_cell(cell)
    assert "\n" not in str(refused.value)
    assert not (cell.folder / "result.json").exists()
    trace = (cell.folder / "trace.txt").read_text()
    assert trace.startswith("Traceback")
    assert says in trace


@pytest.mark.parametrize(
    "place",
    [
        *("data.module", "data.module.distortion", "model.network.build", "task.loss"),
        *("recipe.optimizer", "recipe.scheduler.lr_lambda", "logger.loggers.0"),
    ],
)
def test_what_nothing_takes_is_written_nowhere(make_cell: MakeCell, place: str) -> None:
    cell = make_cell("model=fcn", "logger=wandb")
    config = OmegaConf.create(json.loads(json.dumps(cell.config)))
    OmegaConf.update(config, f"{place}.token", "s3cret", force_add=True)
    told = replace(cell, config=OmegaConf.to_container(config))
    with pytest.raises(ValueError, match=": token: there is no such argument"):
        run_cell(told)
    assert not cell.folder.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has 16-mixed")
def test_a_precision_that_would_not_be_the_one_in_the_record_is_refused(
    make_cell: MakeCell,
) -> None:
    with pytest.raises(ValueError, match="trains in bf16-mixed instead"):
        run_cell(make_cell("model=fcn", "recipe.precision=16-mixed"))


def stop_at(cell: Cell, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a cell and kill it at a step."""

    count = Stopwatch.on_train_batch_end

    def stop(self: Stopwatch, trainer: Any, *args: Any) -> None:
        count(self, trainer, *args)
        if trainer.global_step == step:
            raise SystemExit("the power failed")

    with monkeypatch.context() as patch:
        patch.setattr(Stopwatch, "on_train_batch_end", stop)
        with pytest.raises(SystemExit):
            run_cell(cell)


def assert_same(one: Cell, other: Cell) -> None:
    """Weights and metrics are equal, bit for bit."""
    ours, theirs = (torch.load(c.folder / "weights.pt", weights_only=True) for c in (one, other))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    metrics = [(c.folder / "metrics.csv").read_bytes() for c in (one, other)]
    assert metrics[0] == metrics[1]


@pytest.mark.parametrize(
    "name", ["config.yaml", "metrics.csv", "last.ckpt", "weights.pt", "result.json"]
)
def test_what_is_in_the_way_of_a_file_is_named_before_the_run(
    make_cell: MakeCell, name: str
) -> None:
    cell = make_cell("model=fcn")
    (cell.folder / name).mkdir(parents=True)
    with pytest.raises(OSError, match=f"a folder, not a file.*{name}"):
        run_cell(cell)
    assert {path.name for path in cell.folder.iterdir()} == {name, ".lock"}


def test_a_run_goes_on_in_another_folder_without_a_warning(
    make_cell: MakeCell, finished: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, moved = make_cell("model=fcn"), make_cell("model=fcn", f"runs_dir={tmp_path}/moved")
    stop_at(cell, 13, monkeypatch)
    shutil.copytree(cell.folder, moved.folder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        importlib.reload(unwanted_warnings)
        run_cell(moved)
    assert [str(warning.message) for warning in caught] == []
    assert_same(moved, finished("model=fcn"))


def torn(content: bytes) -> bytes:
    return content[: len(content) // 2]


def one_wrong_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


@pytest.mark.parametrize(
    ("damage", "names"),
    [(one_wrong_bit, ["last.ckpt"]), (torn, ["last.ckpt", "previous.ckpt"])],
)
def test_a_cell_goes_on_from_the_last_good_checkpoint(
    make_cell: MakeCell,
    finished: MakeCell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: Callable[[bytes], bytes],
    names: list[str],
) -> None:
    whole, cell = finished("model=st_fcn"), make_cell("model=st_fcn")
    stop_at(cell, 18, monkeypatch)
    for name in names:
        path = cell.folder / name
        path.write_bytes(damage(path.read_bytes()))
    steps = []
    with monkeypatch.context() as patch:
        count = Stopwatch.on_train_batch_end
        patch.setattr(
            Stopwatch,
            "on_train_batch_end",
            lambda self, trainer, *args: (
                steps.append(trainer.global_step),
                count(self, trainer, *args),
            ),
        )
        run_cell(cell)
    assert steps[0] == (9 if names == ["last.ckpt"] else 1)
    assert_same(cell, whole)
    message = capsys.readouterr().err
    for name in names:
        assert f"{cell.folder}/{name} is damaged" in message
        assert (cell.folder / f"{name}.damaged").exists()


def test_the_checkpoint_of_another_seed_is_not_continued_from(
    make_cell: MakeCell,
    finished: MakeCell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = finished("model=st_fcn")
    cell, other = make_cell("model=st_fcn"), make_cell("model=st_fcn", "seed=1")
    for stopped in (cell, other):
        stop_at(stopped, 18, monkeypatch)
    (cell.folder / "last.ckpt").write_bytes((other.folder / "last.ckpt").read_bytes())
    run_cell(cell)
    assert f"last.ckpt is of another run, '{other.run_id}'" in capsys.readouterr().err
    assert_same(cell, whole)


def test_a_run_of_other_data_is_not_continued(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = make_cell("model=fcn")
    stop_at(cell, 13, monkeypatch)
    before = {path.name: path.read_bytes() for path in cell.folder.glob("*.*") if path.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(MnistDataModule, "data_sha256", lambda self: "0" * 64)
        with pytest.raises(DataError, match=r"half-done with other data.*remove the folder"):
            run_cell(cell)
    for name, content in before.items():
        assert (cell.folder / name).read_bytes() == content
    assert run_cell(cell).status == "finished"


def test_the_part_of_the_data_that_was_there_is_told(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MnistDataModule, "part", lambda self: "digits 0-4", raising=False)
    assert run_cell(make_cell("model=fcn")).data_part == "digits 0-4"


@pytest.mark.parametrize("left", [None, 40])
def test_a_cell_whose_metrics_were_taken_away_begins_where_they_end(
    make_cell: MakeCell,
    finished: MakeCell,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    left: int | None,
) -> None:
    whole, cell = finished("model=fcn"), make_cell("model=fcn")
    stop_at(cell, 13, monkeypatch)
    metrics = cell.folder / "metrics.csv"
    content = metrics.read_bytes()
    metrics.unlink()
    if left is not None:
        metrics.write_bytes(content[:left])
    run_cell(cell)
    assert f"{metrics} lacks rows of the checkpoint: the run goes on" in capsys.readouterr().err
    assert_same(cell, whole)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("recipe.watch.log_every_n_steps=0", r"watch\.log_every_n_steps: .* equal to 1, found 0"),
        ("recipe.max_steps=0", r"recipe\.max_steps: .* equal to 1, found 0"),
        ("recipe.batch_size=1.5", r"recipe\.batch_size: .* valid integer, found 1\.5"),
        ("trainer.threads=0", r"trainer\.threads: .* equal to 1, found 0"),
        ("trainer.accelerator=abacus", "abacus"),
        ("recipe.optimizer._target_=torch.optim.Nothing", "Nothing"),
    ],
)
def test_a_mistake_in_the_command_is_no_failure_of_the_cell(
    make_cell: MakeCell, override: str, message: str
) -> None:
    cell = make_cell("model=fcn", override)
    with pytest.raises(ValueError, match=message):
        run_cell(cell)
    assert not (cell.folder / "result.json").exists()


def test_missing_data_leave_no_record(make_cell: MakeCell, tmp_path: Path) -> None:
    cell = make_cell("model=fcn")
    config = json.loads(json.dumps(cell.config))
    config["data"]["module"]["num_val"] = 10**9
    broken = replace(cell, config=config)
    with pytest.raises(ValueError, match="num_val"):
        run_cell(broken)
    assert not (cell.folder / "result.json").exists()


def test_a_download_is_no_part_of_the_time_of_a_run(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, done = make_cell("model=fcn", "recipe.max_steps=2"), []
    prepare_data = MnistDataModule.prepare_data

    def download(self: MnistDataModule) -> None:
        done.append("download")
        prepare_data(self)

    class After(Stopwatch):
        def __init__(self, *args: Any) -> None:
            assert done == ["download"]
            super().__init__(*args)

    monkeypatch.setattr(MnistDataModule, "prepare_data", download)
    monkeypatch.setattr(cell_module, "Stopwatch", After)
    run_cell(cell)
    assert record_of(cell).status == "finished"


def test_a_record_of_the_future_counts_as_any_other(
    finished: MakeCell, make_cell: MakeCell, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whose clock is wrong, the writer's or the reader's, nobody can tell: dates decide nothing."""
    cell = make_cell("model=fcn")
    shutil.copytree(finished("model=fcn").folder, cell.folder)
    path = cell.folder / "result.json"
    told = json.loads(path.read_text())
    dates = {"started_at": "2099-12-31T00:00:00+00:00", "finished_at": "2099-12-31T00:00:01+00:00"}
    path.write_text(json.dumps(told | dates))
    run_cell(cell)
    assert "already done" in capsys.readouterr().out
    assert record_of(cell).started_at.startswith("2099")


def test_a_record_tells_neither_home_nor_token(
    make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, token = tmp_path / "home/ada", "0123456789abcdef0123456789abcdef01234567"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("WANDB_API_KEY", token)
    plain = make_cell("model=fcn", "recipe.max_steps=2", f"runs_dir={home}/runs")
    config = {**plain.config, "task": {**plain.config["task"], "note": token}}
    command = f"python -m stn.train data_dir={home}/data +logger.api_key=s3cret-word {token}"
    cell = replace(plain, config=config, command=command)
    run_cell(cell)
    failing = replace(cell, run_id="failing", config={**config, "model": plain.config["model"]})

    count = Stopwatch.on_train_batch_end

    def fail(*args: Any) -> None:
        count(*args)
        raise RuntimeError(f"cannot use {home}/x with {token}")

    monkeypatch.setattr(Stopwatch, "on_train_batch_end", fail)
    with pytest.raises(RuntimeError):
        run_cell(failing)
    for folder in (cell.folder, failing.folder):
        text = (folder / "result.json").read_text()
        assert str(home) not in text
        assert token not in text
        assert "s3cret-word" not in text
        assert "~/runs" in text
