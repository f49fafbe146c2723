"""`python -m stn.measure study=<name>`: what a study asks of its finished networks besides errors.

Reads the runs of `source` with their weights, and writes what is missing into their records, where
`stn.report` finds it. Trains nothing. Overrides are given as to `stn.report`.
"""

import stn.extra  # noqa: F401  # isort: skip

from pathlib import Path

from omegaconf import DictConfig

from stn.entry import command
from stn.inspecting.measuring import measure_runs
from stn.results.study import Study
from stn.running.settings import MeasureSettings, settings_of
from stn.sweeping.planning import plan
from stn.tables import chosen_recipe, composed, table_of


@command("measure")
def main(cfg: DictConfig) -> None:
    """Measure the runs of the study that `cfg` names, and say what was found."""
    told = settings_of(cfg, MeasureSettings)
    study = table_of(told)
    if not isinstance(study, Study):
        raise ValueError("which study? Say study=<name>")
    if not study.measures:
        return
    runs = plan(study, [f"recipe={chosen_recipe()}", *told.overrides], composed)
    source, data_dir = Path(told.source), Path(told.data_dir)
    for line in measure_runs(study, runs, source, data_dir, told.packages):
        print(line, flush=True)


if __name__ == "__main__":
    main()
