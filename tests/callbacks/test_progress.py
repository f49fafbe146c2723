import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from stn.callbacks import progress
from stn.callbacks.progress import ProgressFile, Stopwatch


def test_a_stopwatch_goes_on_from_its_state() -> None:
    first, second = Stopwatch("0123456789ab"), Stopwatch("0123456789ab")
    for step in (1, 2, 3):
        first.on_train_batch_start()
        trainer = SimpleNamespace(global_step=step, world_size=2)
        first.on_train_batch_end(trainer, None, None, ([0] * 5, [0] * 5))  # type: ignore[arg-type]
    state = first.state_dict()
    second.load_state_dict(state)
    assert (second.steps, second.samples, second.train_s) == (3, 30, first.train_s)
    assert second.wall_s >= state["wall_s"] >= first.train_s
    assert second.cpu_s >= state["cpu_s"] >= 0


def test_a_sleeping_run_takes_no_processor_time() -> None:
    stopwatch = Stopwatch(None)
    time.sleep(0.2)
    assert stopwatch.cpu_s < 0.1 < stopwatch.wall_s


def test_progress_is_written_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.1, 102.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    path, seen = tmp_path / "progress.json", []
    file = ProgressFile(path, "error_percent")
    for step in (1, 2, 3):
        file.on_train_batch_end(
            SimpleNamespace(
                is_global_zero=True,
                global_step=step,
                max_steps=9,
            ),
            SimpleNamespace(measured={"val_error_percent": 2.5}),
        )
        seen.append(json.loads(path.read_text()))
    assert [state["step"] for state in seen] == [1, 1, 3]
    assert seen[-1] == {
        "step": 3,
        "max_steps": 9,
        "metric": "val_error_percent",
        "value": 2.5,
    }
    assert list(tmp_path.iterdir()) == [path]
