"""Two sweeps over the same cells at once, in real processes."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from stn.files.locks import CellBusyError, held, is_free
from stn.results.collect import collect
from tests.sweeps import FEW, start

CELLS = ["model=fcn,st_fcn", "seed=0,1", "recipe.max_steps=160"]


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    with held(tmp_path):
        assert not is_free(tmp_path)
        with pytest.raises(CellBusyError, match=f"{tmp_path} is being run by another process"):
            held(tmp_path).__enter__()
    assert is_free(tmp_path)


def test_two_sweeps_share_the_work(tmp_path: Path) -> None:
    sweeps = [start(tmp_path, *CELLS, cells=FEW) for _ in range(2)]
    outputs = [sweep.communicate(timeout=120)[0] for sweep in sweeps]
    assert [sweep.returncode for sweep in sweeps] == [0, 0], outputs
    found = collect(tmp_path)
    assert [record.status for record in found.records] == ["finished"] * 4
    assert not found.problems
    for folder in (path.parent for path in tmp_path.glob("*/result.json")):
        steps = re.findall(r"^(\d+),train_loss", (folder / "metrics.csv").read_text(), re.MULTILINE)
        assert len(steps) == len(set(steps)) == 80  # every second of 160, each by one process


def test_a_sweep_takes_over_what_a_killed_one_leaves(tmp_path: Path) -> None:
    cell = ["model=fcn", "recipe.max_steps=160"]
    first = start(tmp_path, *cell, cells=FEW)
    while not list(tmp_path.glob("*/last.ckpt")):
        assert first.poll() is None, first.communicate()
        time.sleep(0.02)
    os.killpg(first.pid, signal.SIGSTOP)  # it still holds the lock
    second = start(tmp_path, *cell, cells=FEW)
    lines = []
    for line in second.stdout:  # type: ignore[union-attr]
        lines.append(line)
        if "waiting for another process: fcn-mnist_r-smoke-s0-" in line:
            break
    assert not list(tmp_path.glob("*/result.json")), lines
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    rest, _ = second.communicate(timeout=120)
    assert second.returncode == 0, [*lines, rest]
    assert [record.status for record in collect(tmp_path).records] == ["finished"]
