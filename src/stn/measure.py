"""`python -m stn.measure table=<name>`: what it asks of its finished networks besides errors.

Reads the runs of `source` with their weights, and writes what is missing into their records, where
`stn.report` finds it. Trains nothing. Overrides are given as to `stn.report`.
"""

import stn.extra  # noqa: F401  # isort: skip

from pathlib import Path

from omegaconf import DictConfig

from stn.entry import command
from stn.inspecting.measuring import measure_runs
from stn.running.command_settings import MeasureSettings, settings_of
from stn.sweeping.planning import planned_runs
from stn.tables import chosen_recipe, composed, table_of


@command("measure")
def main(cfg: DictConfig) -> None:
    """Measure the runs of the table or study that `cfg` names, and say what was found."""
    told = settings_of(cfg, MeasureSettings)
    table = table_of(told)
    if not table.measures:
        return
    runs = planned_runs(table, [f"recipe={chosen_recipe()}", *told.overrides], composed)
    source, data_dir = Path(told.source), Path(told.data_dir)
    for line in measure_runs(table, runs, source, data_dir, told.packages):
        print(line, flush=True)


if __name__ == "__main__":
    main()
