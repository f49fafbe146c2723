"""A sweep of real processes, killed at random moments, ends as one that was left alone.

What is compared of `result.json` and of the rendered table leaves out times, the only thing that
kills change: records get equal ones before they are rendered. LaTeX carries none.
"""

import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import torch

from stn import train
from stn.results.collect import collect
from stn.results.records import Record
from tests.sweeps import FEW, run, start

TIMES = {"step_ms": 1.0, "wall_s": 1.0, "cpu_s": 1.0, "peak_rss_mib": 1.0}
MOMENT = "2015-06-05T12:00:00+00:00"


def moment(runs: Path) -> str:
    """Tell from the files at what kind of moment a kill fell."""
    if list(runs.glob("*/.*.part")) or list(runs.glob("*/new-*")):
        return "while writing"
    half_done = [p.parent for p in runs.glob("*/config.yaml")]
    half_done = [folder for folder in half_done if not (folder / "result.json").exists()]
    if not half_done:
        return "between cells"
    if any((folder / "weights.pt").exists() for folder in half_done):
        return "after training"
    if any((folder / "last.ckpt").exists() for folder in half_done):
        return "in mid epoch"
    return "before the first checkpoint"


def kill_at_random(runs: Path, cells: list[str], num_kills: int, longest_s: float) -> Counter[str]:
    """Start a sweep again and again, and kill it with its workers; return when the kills fell."""
    seeded, fell = random.Random(0), Counter[str]()
    for _ in range(num_kills):
        before = max((p.stat().st_mtime_ns for p in runs.glob("*/config.yaml")), default=0)
        sweep = start(runs, *cells, cells=FEW)
        while max((p.stat().st_mtime_ns for p in runs.glob("*/config.yaml")), default=0) == before:
            assert sweep.poll() is None, sweep.communicate()[0]
            time.sleep(0.005)
        time.sleep(seeded.uniform(0, longest_s))
        assert sweep.poll() is None, "the sweep ended before it was killed"
        os.killpg(sweep.pid, signal.SIGKILL)
        sweep.communicate()
        fell[moment(runs)] += 1
    return fell


def run_to_its_end(runs: Path, cells: list[str]) -> None:
    code, said = run(runs, *cells, cells=FEW, timeout_s=600)
    assert code == 0, said


def records(runs: Path) -> list[Record]:
    """The records of a sweep with equal times."""
    found = collect(runs)
    assert not found.problems
    same = {"started_at": MOMENT, "finished_at": MOMENT, **TIMES}
    config = [
        {**record.config, "runs_dir": "runs", "reports_dir": "reports"} for record in found.records
    ]
    return [
        record.model_copy(update={**same, "config": c})
        for record, c in zip(found.records, config, strict=True)
    ]


def assert_same(killed: Path, whole: Path) -> None:
    """Weights, metrics and records, which tables are made of, are equal, bit for bit."""
    assert records(killed) == records(whole)
    for record in records(whole):
        one, other = killed / record.run_id, whole / record.run_id
        assert (one / "metrics.csv").read_bytes() == (other / "metrics.csv").read_bytes()
        ours, theirs = (torch.load(f / "weights.pt", weights_only=True) for f in (one, other))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
        left = {path.name for path in one.iterdir()}
        assert left == {path.name for path in other.iterdir()}


def test_a_sweep_killed_three_times_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = ["model=st_fcn", "seed=0,1", "recipe.max_steps=180"]
    with monkeypatch.context() as patch:  # in this process: saves the time to start one
        patch.setenv("STN_RUNS_DIR", str(tmp_path / "whole"))
        patch.setattr(sys, "argv", ["stn.train", "-m", *FEW, *cells])
        train.main()
    fell = kill_at_random(tmp_path / "killed", cells, num_kills=3, longest_s=0.5)
    print(dict(fell))
    run_to_its_end(tmp_path / "killed", cells)
    assert_same(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.integration
@pytest.mark.parametrize("launcher", [[], ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]])
def test_twelve_cells_killed_many_times_end_the_same(tmp_path: Path, launcher: list[str]) -> None:
    cells = ["model=fcn,st_fcn", "data=mnist_r,mnist_e", "seed=0,1,2", *launcher]
    cells.append("recipe.max_steps=500")
    run_to_its_end(tmp_path / "whole", cells)
    fell = kill_at_random(tmp_path / "killed", cells, num_kills=24, longest_s=1.2)
    print(dict(fell))
    assert len(fell) >= 2, "all kills fell at the same kind of moment"
    run_to_its_end(tmp_path / "killed", cells)
    assert len(records(tmp_path / "killed")) == 12
    assert_same(tmp_path / "killed", tmp_path / "whole")
