"""Real sweeps, in processes of their own, over a few random digits; used by several tests."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SMALL = [
    "recipe=smoke",
    "logger=csv",
    "recipe.batch_size=64",
    "data.module._target_=stn.bench.digits.FewRandomDigits",
]


def command(*overrides: str) -> list[str]:
    return [sys.executable, "-m", "stn.train", *overrides, *SMALL]


def start(runs_dir: Path, *overrides: str) -> subprocess.Popen[str]:
    """Start a command in a process group of its own."""
    environment = os.environ | {"STN_RUNS_DIR": str(runs_dir), "OMP_NUM_THREADS": "1"}
    environment["PYTHONPATH"] = str(ROOT / "src")
    return subprocess.Popen(
        command(*overrides),
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
