"""Group 8: what whole trainings cost, from the committed records; nothing is run here."""

import os
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from benchmarks.report import Row, Section
from benchmarks.timing import Spread, spread
from stn.results.collect import collect
from stn.results.costs import core_s
from stn.results.records import Record

RECORDS = Path(__file__).parents[1] / "results/table1"
TABLE_DATA = ("mnist_r", "mnist_rts", "mnist_p", "mnist_e")
NUM_CELLS = 8 * len(TABLE_DATA)
NUM_CORES = 2
METRIC = "test_error_percent"
PAPERS_ERROR = {"st_cnn_r": ("mnist_r", 0.7), "st_cnn_rts": ("mnist_rts", 0.5)}
NOTE = """\
From the records in `{records}`: processor time, or wall time of runs that did not note it. A table
on two cores takes half of its cells' sum; an error is reached by the cheapest recipe whose mean
over seeds is no larger."""


class Reached(NamedTuple):
    """What the runs of a recipe reached: their mean error, minutes of one core and number."""

    recipe: str
    error_percent: float
    minutes: Spread
    n: int


def measure(rounds: int, records: Path = RECORDS) -> Section:
    """Add up what the records say; `rounds` is what every group takes, and changes nothing."""
    finished = [record for record in collect(records).records if record.status == "finished"]
    rows, left_out = [], []
    whole = spread_of_tables(finished)
    if whole is not None:
        rows.append(Row("table1", "Table 1, R RTS P E, quick, one seed, 2 cores", {"min": whole}))
    for key, (data, error_percent) in PAPERS_ERROR.items():
        what = f"ST-CNN affine, {data}, to {error_percent} %"
        outcomes = reached(finished, data)
        enough = [outcome for outcome in outcomes if outcome.error_percent <= error_percent]
        if enough:
            rows.append(Row(key, what, {"min": min(outcome.minutes for outcome in enough)}))
        else:
            left_out.append(f"{what}: {_nearest(outcomes)}")
    where = os.path.relpath(records)
    return Section("runs", "Whole trainings", NOTE.format(records=where), rows, left_out)


def _nearest(outcomes: Sequence[Reached]) -> str:
    if not outcomes:
        return "there is no record"
    recipe, error_percent, minutes, n = min(outcomes, key=lambda outcome: outcome.error_percent)
    cost = f"{error_percent:.2f} % after {minutes.median:.1f} minutes (n = {n})"
    return f"no committed recipe reaches it; nearest is {recipe}, {cost}"


def spread_of_tables(records: Sequence[Record]) -> Spread | None:
    """Minutes of the quick table's four columns over seeds; None where no seed is complete."""
    cells = sorted(_of("quick", TABLE_DATA, records), key=lambda record: record.seed)
    seeds = [list(group) for _, group in groupby(cells, key=lambda record: record.seed)]
    sums = [sum(map(core_s, seed)) / 60 / NUM_CORES for seed in seeds if len(seed) == NUM_CELLS]
    return spread(sums) if sums else None


def reached(records: Sequence[Record], data: str) -> list[Reached]:
    """Return what each recipe reaches with ST-CNN affine on a data set."""
    outcomes = []
    for recipe in sorted({record.recipe for record in records}):
        runs = [
            record
            for record in _of(recipe, (data,), records)
            if (record.model, record.transform) == ("st_cnn", "affine")
        ]
        errors = [r.metrics[METRIC] for r in runs if METRIC in r.metrics]
        if errors:
            minutes = spread([core_s(run) / 60 for run in runs])
            outcomes.append(Reached(recipe, mean(errors), minutes, len(errors)))
    return outcomes


def _of(recipe: str, data: tuple[str, ...], records: Iterable[Record]) -> list[Record]:
    """Runs of a recipe on some data sets."""
    return [r for r in records if r.recipe == recipe and r.data in data]
