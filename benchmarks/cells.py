"""Group 6: whole cells as commands: side by side, to the first step, memory, and what W&B costs."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.report import Row, Section
from benchmarks.steps import BATCH_SIZE
from benchmarks.timing import Spread, spread
from stn.data.mnist_source import CHECKSUMS
from stn.results.records import read_record

NUM_STEPS = 60
ROUNDS = 3
POLL_S = 0.005
NOTE = """\
`python -m stn.train`, one thread a process, on R at a batch of {batch_size}, {num_steps} steps,
validation and test: {rounds} rounds by the watch on the wall. `side by side` starts two cells of
ST-CNN affine at once, and is compared with twice one cell alone; `their steps` are the training
steps alone, without start and end. W&B is offline."""
LEFT_OUT = """\
reading MNIST, which is not in the data folder: the cells train on random digits, and the time to
the first step lacks what reading and checking the files takes"""
CELLS = {
    "st_cnn_affine": ("model=st_cnn", "transform=affine", "logger=csv"),
    "fcn": ("model=fcn", "logger=csv"),
    "fcn, W&B": ("model=fcn", "logger=wandb"),
}


class Outcome(NamedTuple):
    """What one run of the command took."""

    first_step_s: float
    wall_s: float
    step_ms: float
    peak_rss_mib: float


def measure(rounds: int, batch_size: int = BATCH_SIZE, num_steps: int = NUM_STEPS) -> Section:
    """Run the cells in turns, in processes of their own."""
    rounds, has_mnist = min(rounds, ROUNDS), mnist_is_there()
    common = [f"recipe.batch_size={batch_size}", f"recipe.max_steps={num_steps}", "data=mnist_r"]
    if not has_mnist:
        common.append("data.module._target_=benchmarks.digits.RandomDigits")
    alone: dict[str, list[Outcome]] = {name: [] for name in CELLS}
    together: list[list[Outcome]] = []
    for _ in range(rounds):
        for name, overrides in CELLS.items():
            alone[name] += run_at_once([[*overrides, *common]])
            if name == "st_cnn_affine":
                together.append(run_at_once([[*overrides, *common]] * 2))
    rows = _side_by_side(alone["st_cnn_affine"], together) + _costs(alone)
    note = NOTE.format(batch_size=batch_size, num_steps=num_steps, rounds=rounds)
    left_out = [] if has_mnist else [LEFT_OUT]
    return Section("cells", "Whole cells", note, rows, left_out)


def mnist_is_there() -> bool:
    """Tell whether the data folder has all files of MNIST; downloads nothing."""
    folder = Path(os.environ.get("STN_DATA_DIR", "data")) / "mnist"
    found = {path.name.removesuffix(".gz") for path in folder.glob("*")}
    return found >= CHECKSUMS.keys()


def run_at_once(cells: list[list[str]]) -> list[Outcome]:
    """Start the command for each list of overrides at the same time, and wait for all.

    Raises:
        RuntimeError: a cell failed; its output is the message.
    """
    with tempfile.TemporaryDirectory() as folder:
        runs = [Path(folder) / str(i) for i in range(len(cells))]
        start = time.perf_counter()
        processes = [_start(*pair) for pair in zip(cells, runs, strict=True)]
        first_s: dict[int, float] = {}
        end_s: dict[int, float] = {}
        while len(end_s) < len(cells):
            time.sleep(POLL_S)
            now_s = time.perf_counter() - start
            for i, (process, path) in enumerate(zip(processes, runs, strict=True)):
                if i not in first_s and any(path.glob("*/progress.json")):
                    first_s[i] = now_s
                if i not in end_s and process.poll() is not None:
                    end_s[i] = now_s
        for process, path in zip(processes, runs, strict=True):
            _check(process, path)
        return [_outcome(path, first_s[i], end_s[i]) for i, path in enumerate(runs)]


def _start(overrides: list[str], runs: Path) -> subprocess.Popen[bytes]:
    """Start a cell; what it says goes to a file, which cannot block it as a pipe might."""
    runs.mkdir()
    command = [sys.executable, "-m", "stn.train", *overrides, f"runs_dir={runs}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}
    with (runs / "output.txt").open("wb") as output:
        return subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)


def _check(process: subprocess.Popen[bytes], runs: Path) -> None:
    if process.returncode != 0:
        raise RuntimeError(f"a cell failed:\n{(runs / 'output.txt').read_text()}")


def _outcome(runs: Path, first_step_s: float, wall_s: float) -> Outcome:
    (path,) = runs.glob("*/result.json")
    record = read_record(path)
    assert record.step_ms is not None and record.peak_rss_mib is not None  # noqa: PT018
    return Outcome(first_step_s, wall_s, record.step_ms, record.peak_rss_mib)


def _side_by_side(alone: list[Outcome], together: list[list[Outcome]]) -> list[Row]:
    pairs = list(zip(alone, together, strict=True))
    whole = [2 * one.wall_s / max(cell.wall_s for cell in two) for one, two in pairs]
    steps = [2 * one.step_ms / (sum(cell.step_ms for cell in two) / 2) for one, two in pairs]
    return [
        Row("side_by_side", "two cells side by side", {"ratio": spread(whole)}),
        Row("side_by_side_steps", "two cells side by side, their steps", {"ratio": spread(steps)}),
    ]


def _costs(alone: dict[str, list[Outcome]]) -> list[Row]:
    rows = []
    for name, outcomes in alone.items():
        values: dict[str, Spread] = {
            "s to the first step": spread([one.first_step_s for one in outcomes]),
            "s in all": spread([one.wall_s for one in outcomes]),
            "peak MiB": spread([one.peak_rss_mib for one in outcomes]),
        }
        rows.append(Row(name, name, values))
    pairs = zip(alone["fcn, W&B"], alone["fcn"], strict=True)
    extra = [with_wandb.wall_s - without.wall_s for with_wandb, without in pairs]
    rows.append(Row("wandb", "W&B offline, added to a cell", {"s in all": spread(extra)}))
    return rows
