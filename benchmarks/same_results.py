"""Shows that a change of the code changes no result: the same cells at two commits, bit for bit.

    python benchmarks/same_results.py COMMIT... [--steps 150] [--cells cnn/-/mnist_r,...] [--write]

Each cell is trained by its command, with the package as it is at each COMMIT and as it is in the
working tree, and both leave the same training losses, statistics of theta, weights (in order:
names may differ), validation and test errors, or the differences are listed and the exit status
is 1. What COMMIT gave is kept in `--kept`, and is not computed again. With `--write`, and if all
cells are the same, the committed records that COMMIT's code made, or older code that was shown to
be the same, are not marked as of other code: `src/stn/results/same_code.json` gets the hash of each
one's code at COMMIT, and now.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from stn.results.code import SAME_CODE, code_id, same_as

ROOT = Path(__file__).parents[1]
NETWORKS = ("fcn/-", "cnn/-", "st_fcn/affine", "st_fcn/tps", "st_cnn/affine", "st_cnn/tps")
CELLS = (
    *(f"{network}/{data}" for data in ("mnist_r", "mnist_rts") for network in NETWORKS),
    *("st_cnn/projective/mnist_p", "st_fcn/projective/mnist_e", "st_cnn/attention/mnist_tc"),
)


def train(tree: Path, cell: str, steps: int, runs: Path) -> Path:
    """Train a cell with the package of a checkout; return the folder of its run."""
    model, transform, data = cell.split("/")
    chosen = [f"model={model}", f"data={data}", "recipe=quick", "seed=3", "logger=csv"]
    chosen += [] if transform == "-" else [f"transform={transform}"]
    watch = ["recipe.watch.log_every_n_steps=10", f"recipe.max_steps={steps}"]
    environment = os.environ | {
        "PYTHONPATH": str(tree / "src"),
        "STN_RUNS_DIR": str(runs / cell.replace("/", "-")),
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "stn.train", *chosen, *watch]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{tree}: {' '.join(command)}\n{done.stdout}\n{done.stderr}")
    (result,) = Path(environment["STN_RUNS_DIR"]).glob("*/result.json")
    return result.parent


def outcome(folder: Path) -> dict[str, Any]:
    """Return all that a run gave and a change of the code must leave alone."""
    record = json.loads((folder / "result.json").read_text())
    weights = torch.load(folder / "weights.pt", weights_only=True)
    with (folder / "metrics.csv").open() as file:
        logged = {f"{row['metric']} at {row['step']}": row["value"] for row in csv.DictReader(file)}
    return {
        **logged,
        **{f"weights {i}": weight for i, weight in enumerate(weights.values())},
        "num_params": record["num_params"],
        **{
            name: value
            for name, value in record.get("metrics", record).items()
            if name.startswith("test_")
        },
    }


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Name what is not the same, or is not in both: but the new run may log more than the old.

    What only tells of a run, such as `theta/angle`, has a slash in its name, and may be called
    otherwise by now.
    """
    lost = {name for name in old.keys() - new.keys() if "/" not in name}
    added = {name for name in new.keys() - old.keys() if " at " not in name}
    found = [f"{name}: only in one" for name in lost | added]
    for name in old.keys() & new.keys():
        a, b = old[name], new[name]
        if isinstance(a, torch.Tensor):
            if a.shape != b.shape:
                found.append(f"{name}: {tuple(a.shape)} and {tuple(b.shape)}")
            elif not torch.equal(a, b):
                found.append(f"{name}: differ by up to {(a - b).abs().max():.3g}")
        elif a != b:
            found.append(f"{name}: {a} and {b}")
    return sorted(found)


CODE_IDS = """
import json, sys
from stn.results.code import code_id
print(json.dumps([code_id(config) for config in json.load(sys.stdin)]))
"""


def same_code(tree: Path) -> dict[str, str]:
    """Return the code hashes of committed records at a checkout, and now.

    Of those that its code made, or older code that was shown to be the same.
    """
    paths = sorted(ROOT.glob("results/*/*/*.json"))
    records = [json.loads(path.read_text()) for path in paths]
    configs = json.dumps([record["config"] for record in records])
    environment = os.environ | {"PYTHONPATH": str(tree / "src")}
    command = [sys.executable, "-c", CODE_IDS]
    done = subprocess.run(
        command, input=configs, env=environment, check=True, capture_output=True, text=True
    )
    then = json.loads(done.stdout)
    found = {}
    for record, old in zip(records, then, strict=True):
        new = code_id(record["config"])
        if record["code"] and old in same_as(record["code"]) and old != new:
            found[old] = new
    return found


def compare(
    commit: str, cells: list[str], steps: int, kept: Path, write: bool, here: dict[str, Any]
) -> int:
    """Compare cell after cell; return how many differ. What cells give here is kept in `here`."""
    describe = ["git", "-C", str(ROOT), "rev-parse", "--short=12", commit]
    commit = subprocess.run(describe, check=True, capture_output=True, text=True).stdout.strip()
    num_different = 0
    with tempfile.TemporaryDirectory() as temporary:
        tree, runs = Path(temporary) / "tree", Path(temporary) / "runs"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", str(tree), commit], check=True)
        try:
            for cell in cells:
                path = kept / f"{commit}-{cell.replace('/', '-')}-{steps}.pt"
                if not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    torch.save(outcome(train(tree, cell, steps, runs / "old")), path)
                if cell not in here:
                    here[cell] = outcome(train(ROOT, cell, steps, runs / "new"))
                found = differences(torch.load(path, weights_only=True), here[cell])
                num_different += bool(found)
                found_here = found[:5] or "all the same"
                print(f"{commit} {cell}: {len(here[cell])} values,", found_here, flush=True)
            if write and not num_different:
                proofs = json.loads(SAME_CODE.read_text())
                codes = same_code(tree)
                proof = {"commit": commit, "cells": cells, "steps": steps, "codes": codes}
                SAME_CODE.write_text(json.dumps([*proofs, proof], indent=2) + "\n")
                print(f"{SAME_CODE}: {len(codes)} codes that give the same")
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)
    return num_different


def main() -> None:
    """Parse the command line, compare, and say how it ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commits", nargs="+")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--cells", default=",".join(CELLS))
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--kept", type=Path, default=Path("reports/same_results"))
    arguments = parser.parse_args()
    cells = arguments.cells.split(",")
    here: dict[str, Any] = {}
    num_different = sum(
        compare(commit, cells, arguments.steps, arguments.kept, arguments.write, here)
        for commit in arguments.commits
    )
    sys.exit(f"{num_different} cells differ" if num_different else 0)


if __name__ == "__main__":
    main()
