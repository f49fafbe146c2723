"""Sweeps in a process of their own, as a user starts them, of tiny cells that need no files."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
SMOKE = ["recipe=smoke", "logger=csv", "packages=[benchmarks]"]
DIGITS = "data.module._target_=benchmarks.digits"
# Both take ten steps an epoch, and write a checkpoint after each epoch: one slowly, one quickly.
TINY = [*SMOKE, f"{DIGITS}.RandomDigits", "recipe.batch_size=5500", "model=fcn"]
FEW = [*SMOKE, f"{DIGITS}.FewRandomDigits", "recipe.batch_size=64"]


def start(
    runs_dir: Path, *overrides: str, cells: Sequence[str] = TINY, signalled: str = ""
) -> subprocess.Popen[str]:
    """Starts a sweep in a process group of its own; `signalled`: see `tests/signalling`."""
    environment = os.environ | {
        "STN_RUNS_DIR": str(runs_dir),
        "STN_REPORTS_DIR": str(runs_dir.with_name(f"{runs_dir.name} reports")),
        "TEST_SIGNAL": signalled,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests/signalling")]),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "200",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "stn.train", "-m", *cells, *overrides],
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        # A shell that runs the tests in the background has them, and all they start, ignore Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def end(sweep: subprocess.Popen[str], timeout_s: float = 300) -> tuple[int, str]:
    """Waits for a sweep; returns its exit code and all that it said."""
    try:
        said, _ = sweep.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        sweep.kill()
        raise
    return sweep.returncode, said


def run(
    runs_dir: Path, *overrides: str, cells: Sequence[str] = TINY, timeout_s: float = 300
) -> tuple[int, str]:
    return end(start(runs_dir, *overrides, cells=cells), timeout_s)


def wait_until(happened: Callable[[], bool], timeout_s: float = 120) -> None:
    """Waits for what a sweep does."""
    last = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < last, "it did not happen"
        time.sleep(0.05)


def has_checkpoint(runs_dir: Path, num: int = 1) -> bool:
    return len(list(runs_dir.glob("*/last.ckpt"))) >= num


def weights(runs_dir: Path) -> dict[str, dict[str, torch.Tensor]]:
    """The weights of every finished cell."""
    return {
        path.parent.name: torch.load(path, weights_only=True)
        for path in sorted(runs_dir.glob("*/weights.pt"))
        if (path.parent / "result.json").exists()
    }


def same(ours: dict, theirs: dict) -> bool:
    """Tells whether two sweeps ended with the same cells and, to the bit, the same weights."""
    return ours.keys() == theirs.keys() and all(
        torch.equal(ours[run_id][name], value)
        for run_id, state in theirs.items()
        for name, value in state.items()
    )
