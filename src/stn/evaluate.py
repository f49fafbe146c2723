"""`python -m stn.evaluate run=runs/<run_id>`: what a run gave on its test set, from its weights."""

import stn.extra  # noqa: F401  # isort: skip

import sys
from pathlib import Path

from omegaconf import DictConfig

from stn.entry import command
from stn.running.command_settings import EvaluateSettings, settings_of
from stn.running.restoring import evaluate


@command("evaluate")
def main(cfg: DictConfig) -> None:
    """Measure a run on the test set again, and compare it with its record."""
    told = settings_of(cfg, EvaluateSettings)
    found = evaluate(Path(told.run), told.data_dir, told.packages)
    for name, (now, recorded) in found.items():
        print(f"{name} {now:.10g}; the record says {recorded:.10g}")
    if any(now != recorded for now, recorded in found.values()):
        sys.exit("they differ: other weights, other data, or another machine's arithmetic")


if __name__ == "__main__":
    main()
