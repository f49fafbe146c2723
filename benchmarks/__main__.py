"""Measures what the project's speed rests on, in a few minutes and on one core.

    python -m benchmarks                                  everything, into reports/bench.{md,json}
    python -m benchmarks --only layers,loop --rounds 5    some groups

The numbers of one run belong together: compare ratios, not milliseconds of different runs.
"""

import argparse
import importlib
import os
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.report import Section, found, to_json, to_markdown, write
from benchmarks.targets import judge
from stn.fast.memory import keep_freed_memory
from stn.results import provenance

# Name and rounds of every group, each a module of this package. Cells come first: the system hands
# the peak memory of a process down to its children, so this one must still be small.
GROUPS = {
    "cells": 3,
    "steps": 9,
    "networks": 15,
    "layers": 15,
    "distortions": 9,
    "loop": 7,
    "roofline": 11,
    "runs": 1,
}


def set_up_as_a_cell() -> None:
    """Give this process what a cell's has: what is compared with has it, too."""
    torch.set_num_threads(1)
    keep_freed_memory()
    if not torch.cuda.is_available():
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


def run_groups(names: list[str], rounds: int | None) -> tuple[list[Section], float]:
    """Measure these groups one after another, and say how long each took.

    Returns:
        What was measured, and the largest share of a core that this process had in one group.
    """
    sections, shares = [], [0.0]
    for name in names:
        wall_s, processor_s = time.perf_counter(), time.process_time()
        group = importlib.import_module(f"benchmarks.{name}")
        sections.append(group.measure(rounds or GROUPS[name]))
        wall_s, processor_s = time.perf_counter() - wall_s, time.process_time() - processor_s
        shares.append(processor_s / wall_s)
        print(f"{name}: {wall_s:.0f} s", flush=True)
    return sections, max(shares)


def conditions(load: float, share: float) -> dict[str, Any]:
    """Say where and how was measured.

    Args:
        load: the machine's one-minute load average before the start.
        share: of the wall time for which this process had a core.
    """
    sha, dirty = provenance.git_state()
    return {
        "processor": f"{provenance.processor()}, {os.cpu_count()} cores, one thread",
        "commit": sha + (" with changes" if dirty else ""),
        "versions": ", ".join(f"{k} {v}" for k, v in provenance.versions().items()),
        "load of the machine before the start": f"{load:.2f}",
        "share of a core that this process had": f"{share:.2f} (1 on a quiet machine)",
        "process": "keeps freed memory, as in a cell; for what is compared with, too",
    }


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, measure, and write the report."""
    options = _parser().parse_args(arguments)
    unknown = set(options.only) - GROUPS.keys()
    if unknown:
        raise SystemExit(f"unknown groups: {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    set_up_as_a_cell()
    load = os.getloadavg()[0]
    sections, share = run_groups([name for name in GROUPS if name in options.only], options.rounds)
    header, verdicts = conditions(load, share), judge(found(sections))
    page = to_markdown(header, sections, verdicts)
    write(options.out, {"bench.md": page, "bench.json": to_json(header, sections, verdicts)})
    print(f"\n{page}\nwritten to {options.out / 'bench.md'} and {options.out / 'bench.json'}")


def _rounds(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 up, not {text}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    groups = ",".join(GROUPS)
    parser.add_argument(
        "--only", type=lambda text: text.split(","), default=list(GROUPS), help=groups
    )
    parser.add_argument("--rounds", type=_rounds, help="of every group, instead of its own number")
    parser.add_argument("--out", type=Path, default=Path("reports"), help="folder of the report")
    return parser


if __name__ == "__main__":
    main()
