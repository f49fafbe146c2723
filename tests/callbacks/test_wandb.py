import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import wandb
from omegaconf import OmegaConf

from stn.callbacks.metrics import MetricsFile
from stn.callbacks.wandb import (
    STEP,
    LenientWandbLogger,
    group_of,
    in_file_only,
    logged_in,
    place_in_table,
)
from stn.drawing.panels import STAGES
from stn.results.provenance import command_of
from stn.running.cell import run_cell
from stn.sweeping.planning import written
from stn.tasks.task import DivergedError, Task
from tests.wandb_files import history, records

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def test_nobody_is_logged_in_without_a_key() -> None:
    assert not logged_in()


def test_a_key_in_the_environment_unless_told_to_stay_offline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert logged_in()
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert not logged_in()


def test_a_login_for_the_server_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine api.wandb.ai\n  login user\n  password 0\n")
    assert logged_in()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org:8080")
    assert not logged_in()


def assert_one_file_has_every_row(folder: Path) -> None:
    (path,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    rows = history(path)
    assert [int(row["_step"]) for row in rows] == list(range(len(rows)))
    found = [
        (int(row["trainer/global_step"]), name, float(value))
        for row in rows
        for name, value in row.items()
        if not name.startswith(("_", "trainer/", "panels", "histogram", "samples"))
    ]
    wanted = [r for r in MetricsFile(folder / "metrics.csv").rows() if not in_file_only(r[1])]
    # One call's numbers come in any order.
    assert sorted(found) == sorted(wanted)
    drawn = [
        int(row["trainer/global_step"]) for row in rows if "panels" in row or "panels/_type" in row
    ]
    assert sorted(drawn) == sorted(int(p.stem[5:]) for p in (folder / "panels").glob("*.png"))
    assert [row["trainer/global_step"] for row in rows if "samples/path" in row] == [
        str(max(drawn))
    ]


def test_a_run_that_was_stopped_twice_has_one_file_offline_with_every_row(
    make_cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    cell = make_cell("model=st_fcn", "logger=wandb", "recipe.watch.log_every_n_steps=3")
    log = MetricsFile.log_metrics
    for stop in (11, 19):  # epochs have 8 steps, checkpoints are at 8 and 16

        def log_until(self: MetricsFile, metrics, step: int, stop: int = stop) -> None:
            if step >= stop:
                raise OSError("no space left")
            log(self, metrics, step)

        monkeypatch.setattr(MetricsFile, "log_metrics", log_until)
        with pytest.raises(OSError, match="no space"):
            run_cell(cell)
    monkeypatch.setattr(MetricsFile, "log_metrics", log)
    run_cell(cell)
    assert_one_file_has_every_row(cell.folder)


def test_a_file_is_not_removed_before_the_next_has_its_rows(
    make_cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    cell = make_cell("model=fcn", "logger=wandb")
    older = cell.folder / f"wandb/offline-run-20200101_000000-{cell.run_id}"
    same_second = older.with_name(f"{older.name}-1")
    another = cell.folder / "wandb/offline-run-20200101_000000-another"
    for folder in (older, same_second, another):
        folder.mkdir(parents=True)

    def fail(self: LenientWandbLogger, trainer) -> None:
        raise ConnectionResetError("Connection lost")

    with monkeypatch.context() as patched:
        patched.setattr(LenientWandbLogger, "_take_over", fail)
        with pytest.warns(UserWarning, match="goes on without W&B"):
            run_cell(cell)
    assert older.exists()
    (cell.folder / "result.json").unlink()
    run_cell(cell)
    assert not older.exists()
    assert not same_second.exists()
    assert another.exists()


def test_a_run_of_the_users_own_in_this_process_is_left_alone(
    make_cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    cell = make_cell("model=st_fcn", "transform=affine", "logger=wandb")
    with wandb.init(dir=tmp_path, settings=wandb.Settings(silent=True)) as own:
        run_cell(cell)
        own.log({"mine": 1})
        assert wandb.run is own
    assert_one_file_has_every_row(cell.folder)
    (path,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    assert [{*row} - {"_step", "_runtime", "_timestamp"} for row in history(path)] == [{"mine"}]


def test_after_a_service_of_wandb_that_died_the_next_cell_has_another(
    make_cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    log = LenientWandbLogger.log_metrics

    def log_after_a_kill(self: LenientWandbLogger, *args) -> None:
        subprocess.run(["pkill", "-KILL", "-P", str(os.getpid()), "wandb-core"])
        log(self, *args)

    cells = [make_cell("model=st_fcn", "logger=wandb", f"seed={seed}") for seed in (0, 1)]
    with monkeypatch.context() as patched:
        patched.setattr(LenientWandbLogger, "log_metrics", log_after_a_kill)
        with pytest.warns(UserWarning, match="goes on without W&B, which failed: Connection"):
            run_cell(cells[0])
    run_cell(cells[1])
    assert_one_file_has_every_row(cells[1].folder)


def told(folder: Path) -> list:
    (path,) = (folder / "wandb").glob("offline-run-*/*.wandb")
    return list(records(path))


def test_a_run_tells_its_axis_place_size_and_cost(make_cell, monkeypatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    cell = make_cell("model=cnn", "logger=wandb", "+table=table1", "data=mnist_rts")
    run_cell(cell)
    found = told(cell.folder)
    axes = {r.metric.glob_name or r.metric.name: r.metric.step_metric for r in found}
    assert axes["*"] == STEP
    (run,) = (r.run for r in found if r.WhichOneof("record_type") == "run")
    assert (run.job_type, run.run_group) == ("train", "Table 1, smoke: cnn, RTS")
    assert {*run.tags} == {"Table 1", "cnn", "RTS", "smoke"}
    config = {u.key: u.value_json for u in run.config.update}
    assert (config["row"], config["column"]) == ('"cnn"', '"RTS"')
    assert config.keys().isdisjoint({"transform", "table.rows", "study"})
    assert json.loads(config["command"]) == cell.command
    updates = [u for r in found for u in r.config.update]
    assert any("num_params" in (u.key, *u.nested_key) for u in updates)
    summary = {u.key or "/".join(u.nested_key) for r in found for u in r.summary.update}
    assert {"cost/wall_s", "cost/step_ms"} <= summary
    names = {name for row in history(next(cell.folder.glob("wandb/*/*.wandb"))) for name in row}
    assert {"gradient/classifier", "lr"} <= names
    assert "gradient/localisation" not in names


def test_the_same_images_over_time_stand_in_one_table_and_nothing_in_the_home(
    make_cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("WANDB_DATA_DIR", raising=False)
    cell = make_cell("model=parallel_st_fcn", "transform=tps", "logger=wandb")
    run_cell(cell)
    files = [p for p in (cell.folder / "wandb/artifacts").rglob("*") if p.is_file()]
    contents = [path.read_bytes() for path in files]
    table = next(json.loads(c) for c in contents if c.startswith(b'{"_type": "table"'))
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    places = [(row["step"], row["transformer"], row["image"]) for row in rows]
    assert places == [(s, t, i) for s in (0, 8, 16, 20) for t in (1, 2) for i in range(10)]
    assert {(row["image"], row["true"]) for row in rows} == {(i, str(i)) for i in range(10)}
    pictures = {hashlib.sha256(content).hexdigest() for content in contents}
    assert {row[stage]["sha256"] for row in rows for stage in STAGES} <= pictures
    assert not [p for p in (tmp_path / "home").rglob("*") if "artifacts" in p.parts]
    names = {name for row in history(next(cell.folder.glob("wandb/*/*.wandb"))) for name in row}
    for warp in ("warp", "warp_2"):
        for number in ("angle_deg", "scale", "shear", "shift_x", "bending", "outside"):
            assert f"{warp}/{number}" in names
            assert any(name.startswith(f"histogram/{warp}/{number}") for name in names)
    assert not [name for name in names if name.startswith("theta")]  # 64 charts that nobody reads
    assert "WANDB_DATA_DIR" not in os.environ


def test_a_transformer_that_does_nothing_is_warned_of_and_stands_in_the_record(make_cell) -> None:
    cell = make_cell("model=st_fcn", "recipe.localisation_lr_factor=0")
    with pytest.warns(UserWarning, match="transformer 1: the transformer warps all images alike"):
        record = run_cell(cell)
    found = {name for name in record.metrics if "collapsed" in name}
    assert found == {"val_collapsed_constant"}
    rows = MetricsFile(cell.folder / "metrics.csv").rows()
    assert [(step, v) for step, name, v in rows if name in found] == [(20, 1.0)]


def test_a_diverged_run_ends_with_another_exit_code(make_cell, monkeypatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    cell = make_cell("model=fcn", "logger=wandb")

    def diverge(self: Task, batch, batch_idx: int) -> None:
        raise DivergedError("the loss became nan")

    monkeypatch.setattr(Task, "training_step", diverge)
    with pytest.raises(DivergedError):
        run_cell(cell)
    exits = [r.exit.exit_code for r in told(cell.folder) if r.WhichOneof("record_type") == "exit"]
    assert exits == [1]


@pytest.mark.parametrize(
    ("group", "name"),
    [
        (group, path.stem)
        for group in ("table", "study")
        for path in sorted((ROOT / "conf" / group).glob("*.yaml"))
    ],
)
def test_each_row_and_column_of_each_table_is_found(group: str, name: str, compose_train) -> None:
    content = OmegaConf.to_container(compose_train(f"+{group}={name}")[group])
    rows = [row for row in content["rows"] if "overrides" in row]
    columns = content["columns"]
    for i in range(max(len(rows), len(columns))):
        row, column = rows[i % len(rows)], columns[i % len(columns)]
        chosen = content.get("recipes", {}).get("smoke", {}) | column["overrides"]
        chosen |= row["overrides"]
        overrides = [f"{key}={written(value)}" for key, value in chosen.items()]
        composed = compose_train(f"+{group}={name}", "recipe=smoke", *overrides)
        config = OmegaConf.to_container(composed, resolve=True)
        config["command"] = command_of(["recipe=smoke", *overrides, "seed=3", "logger=csv"])
        assert place_in_table(config) == (content["title"], row["key"], column["key"])


def test_what_a_cell_overrides_besides_is_in_its_name(compose_train) -> None:
    overrides = ["recipe=smoke", "model=cnn", "recipe.max_steps=8", "trainer.threads=2"]
    config = OmegaConf.to_container(compose_train("+table=table1", *overrides), resolve=True)
    place = place_in_table({**config, "command": command_of(overrides)})
    assert place == ("Table 1", "cnn", "R", "recipe.max_steps=8")
    assert group_of(*place[:1], "smoke", *place[1:]) == "Table 1, smoke: cnn, R, recipe.max_steps=8"


@pytest.mark.integration
def test_a_run_that_was_killed_twice_has_one_file_offline_with_every_row(tmp_path: Path) -> None:
    # Without the service that W&B has started for this process, which outlives a kill.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
    environment |= {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}
    environment |= {"WANDB_MODE": "offline", "STN_RUNS_DIR": str(tmp_path)}
    command = [sys.executable, "-W", "ignore", "-m", "stn.train", "model=st_fcn", "data=mnist_r"]
    command += ["recipe=smoke", "recipe.max_steps=120", "recipe.batch_size=64", "packages=[tests]"]
    command += ["data.module._target_=tests.small_mnist.SmallMnist"]
    for stop in (20, 60, None):
        process = subprocess.Popen(command, env=environment, cwd=tmp_path)
        while stop and process.poll() is None and last_step(tmp_path) < stop:
            time.sleep(0.02)
        if stop:
            process.send_signal(signal.SIGKILL)
        assert process.wait() == (-signal.SIGKILL if stop else 0)
    (folder,) = tmp_path.glob("st_fcn-*")
    assert json.loads((folder / "result.json").read_text())["status"] == "finished"
    assert_one_file_has_every_row(folder)


def last_step(runs: Path) -> int:
    lines = [line for path in runs.glob("*/metrics.csv") for line in path.read_text().splitlines()]
    return int(lines[-1].split(",")[0]) if len(lines) > 1 else 0
