"""`python -m stn.measure study=<name>`: what a study asks of its finished networks besides errors.

Reads the runs of `source` with their weights, and writes what is missing into their records, where
`stn.report` finds it. Trains nothing. Overrides are given as to `stn.report`.
"""

import stn.extra  # noqa: F401  # isort: skip

import sys
from pathlib import Path

import hydra
from hydra import compose
from hydra.errors import HydraException
from omegaconf import DictConfig

from stn.configuration import CONF, show_what_can_be_shown
from stn.inspecting.measuring import measure_runs
from stn.report import chosen_recipe, table_of
from stn.results.study import Study
from stn.sweeping.planning import plan


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="measure")
def main(cfg: DictConfig) -> None:
    """Measure the runs of the study that `cfg` names, and say what was found."""
    show_what_can_be_shown()
    try:
        study = table_of(cfg)
        if not isinstance(study, Study):
            raise ValueError("which study? Say study=<name>")
        if not study.measures:
            return
        chosen = [f"recipe={chosen_recipe()}", *cfg.overrides]
        runs = plan(study, chosen, lambda overrides: compose("train", [*overrides]))
        source, packages = Path(str(cfg.source)), tuple(cfg.packages)
        for line in measure_runs(study, runs, source, cfg.data_dir, packages):
            print(line, flush=True)
    except (HydraException, OSError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
