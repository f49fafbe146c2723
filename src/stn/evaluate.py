"""`python -m stn.evaluate run=runs/<run_id>`: what a run gave on its test set, from its weights."""

import stn.extra  # noqa: F401  # isort: skip

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf

from stn.configuration import CONF, show_what_can_be_shown
from stn.running.restoring import evaluate


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="evaluate")
def main(cfg: DictConfig) -> None:
    """Measure a run on the test set again, and compare it with its record."""
    show_what_can_be_shown()
    if OmegaConf.is_missing(cfg, "run"):
        sys.exit("which run? Say run=runs/<run_id>")
    try:
        found = evaluate(Path(str(cfg.run)), cfg.data_dir, tuple(cfg.packages))
    except (OSError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    for name, (now, recorded) in found.items():
        print(f"{name} {now:.10g}; the record says {recorded:.10g}")
    if any(now != recorded for now, recorded in found.values()):
        sys.exit("they differ: other weights, other data, or another machine's arithmetic")


if __name__ == "__main__":
    main()
