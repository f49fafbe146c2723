"""Whole cells as commands: side by side, to the first step, memory, and what W&B costs."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.report import Row, Section
from benchmarks.steps import BATCH_SIZE
from benchmarks.timing import spread
from stn.results.records import read_record

ROOT = Path(__file__).parents[1]
POLL_S = 0.005
NOTE = """\
`python -m stn.train`, one thread a process, on R at a batch of {batch_size}, {num_steps} steps,
validation and test, by the watch on the wall. The digits are random: reading MNIST is left out.
`side by side` starts two cells of ST-CNN affine at once, and is compared with twice one cell alone;
`their steps` are the training steps alone, without start and end. W&B is offline."""
CELLS = {
    "st_cnn_affine": ("model=st_cnn", "transform=affine", "logger=csv"),
    "fcn": ("model=fcn", "logger=csv"),
    "fcn, W&B": ("model=fcn", "logger=wandb"),
}
DIGITS = ("packages=[benchmarks]", "data.module._target_=benchmarks.digits.RandomDigits")


class Outcome(NamedTuple):
    """What one run of the command took."""

    first_step_s: float
    wall_s: float
    step_ms: float
    peak_rss_mib: float


def measure(rounds: int, batch_size: int = BATCH_SIZE, num_steps: int = 60) -> Section:
    """Run the cells in turns, in processes of their own."""
    common = [f"recipe.batch_size={batch_size}", f"recipe.max_steps={num_steps}", "data=mnist_r"]
    alone: dict[str, list[Outcome]] = {name: [] for name in CELLS}
    pairs: list[list[Outcome]] = []
    for _ in range(rounds):
        for name, overrides in CELLS.items():
            alone[name] += run_at_once([[*overrides, *common, *DIGITS]])
        pairs.append(run_at_once([[*CELLS["st_cnn_affine"], *common, *DIGITS]] * 2))
    both = list(zip(alone["st_cnn_affine"], pairs, strict=True))
    whole = [2 * one.wall_s / max(cell.wall_s for cell in two) for one, two in both]
    steps = [2 * one.step_ms / (sum(cell.step_ms for cell in two) / 2) for one, two in both]
    rows = [
        Row("side_by_side", "two cells side by side", {"ratio": spread(whole)}),
        Row("side_by_side_steps", "two cells side by side, their steps", {"ratio": spread(steps)}),
    ]
    for name, outcomes in alone.items():
        values = {
            "s to the first step": spread([one.first_step_s for one in outcomes]),
            "s in all": spread([one.wall_s for one in outcomes]),
            "peak MiB": spread([one.peak_rss_mib for one in outcomes]),
        }
        rows.append(Row(name, name, values))
    turns = zip(alone["fcn, W&B"], alone["fcn"], strict=True)
    extra = [with_wandb.wall_s - without.wall_s for with_wandb, without in turns]
    rows.append(Row("wandb", "W&B offline, added to a cell", {"s in all": spread(extra)}))
    note = NOTE.format(batch_size=batch_size, num_steps=num_steps)
    return Section("cells", "Whole cells", note, rows)


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
        outcomes = []
        for i, (process, path) in enumerate(zip(processes, runs, strict=True)):
            if process.returncode != 0:
                raise RuntimeError(f"a cell failed:\n{(path / 'output.txt').read_text()}")
            (result,) = path.glob("*/result.json")
            record = read_record(result)
            assert record.step_ms is not None and record.peak_rss_mib is not None  # noqa: PT018
            outcomes.append(Outcome(first_s[i], end_s[i], record.step_ms, record.peak_rss_mib))
        return outcomes


def _start(overrides: list[str], runs: Path) -> subprocess.Popen[bytes]:
    """Start a cell; what it says goes to a file, which cannot block it as a pipe might."""
    runs.mkdir()
    command = [sys.executable, "-m", "stn.train", *overrides, f"runs_dir={runs}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}
    with (runs / "output.txt").open("wb") as output:
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
