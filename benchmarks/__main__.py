"""Measures what the project's speed rests on, in a few minutes and on one core.

    python -m benchmarks                                  everything, into reports/bench.md
    python -m benchmarks --only layers,loop --rounds 5    some groups

The numbers of one run belong together: compare ratios, not milliseconds of different runs.
"""

import argparse
import importlib
import os
import time
from pathlib import Path

import torch

from benchmarks.report import to_markdown
from stn.fast.memory import keep_freed_memory
from stn.files.atomic import write_atomically
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
    "house_numbers": 7,
    "birds": 7,
    "roofline": 11,
}


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line, measure, and write the report."""
    options = _parser().parse_args(arguments)
    unknown = set(options.only) - GROUPS.keys()
    if unknown:
        raise SystemExit(f"unknown groups: {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    torch.set_num_threads(1)  # this process has what a cell's has; what is compared with, too
    keep_freed_memory()
    if not torch.cuda.is_available():
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
    load, shares, sections = os.getloadavg()[0], [0.0], []
    for name in [name for name in GROUPS if name in options.only]:
        wall_s, processor_s = time.perf_counter(), time.process_time()
        group = importlib.import_module(f"benchmarks.{name}")
        sections.append(group.measure(options.rounds or GROUPS[name]))
        wall_s, processor_s = time.perf_counter() - wall_s, time.process_time() - processor_s
        shares.append(processor_s / wall_s)
        print(f"{name}: {wall_s:.0f} s", flush=True)
    sha, dirty = provenance.git_state()
    conditions = {
        "processor": f"{provenance.processor()}, {os.cpu_count()} cores, one thread",
        "commit": sha + (" with changes" if dirty else ""),
        "versions": ", ".join(f"{k} {v}" for k, v in provenance.versions().items()),
        "load of the machine before the start": f"{load:.2f}",
        "share of a core that this process had": f"{max(shares):.2f} (1 on a quiet machine)",
        "process": "keeps freed memory, as in a cell; for what is compared with, too",
    }
    page = to_markdown(conditions, sections)
    options.out.mkdir(parents=True, exist_ok=True)
    write_atomically(options.out / "bench.md", page.encode())
    print(f"\n{page}\nwritten to {options.out / 'bench.md'}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    groups = ",".join(GROUPS)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[*GROUPS], help=groups)
    parser.add_argument("--rounds", type=int, help="of every group, instead of its own number")
    parser.add_argument("--out", type=Path, default=Path("reports"), help="folder of the report")
    return parser


if __name__ == "__main__":
    main()
