"""What is known of a cell, from its records and from what its runs left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stn.callbacks.metrics import MetricsFile
from stn.files.run_files import CONFIG, METRICS, PANELS, WEIGHTS
from stn.files.scrubbing import scrub
from stn.inspecting.answers import Answers, Run, answers_of
from stn.pages.charts import Chart, Rows, charts
from stn.pages.pictures import Picture, encoded, gallery
from stn.results.comparison import Comparison, TableCell
from stn.results.costs import costs
from stn.results.records import Record


@dataclass(frozen=True)
class View:
    """A cell, ready to be shown.

    Attributes:
        key: names it on the page.
        costs: of its runs, and what made them.
        shown: the run that configuration and pictures are of.
        has_folder: whether it left more than its record.
        config: its configuration, as YAML.
        charts: of all runs that did.
        gallery: the same images through training.
        images: of the test set, or why there are none.
        damaged: what of the folders cannot be read, and why.
    """

    key: str
    cell: TableCell
    costs: Mapping[str, Any]
    shown: Record
    has_folder: bool
    config: str
    charts: Sequence[Chart]
    gallery: Sequence[Picture]
    images: Answers[Picture] | str
    damaged: Sequence[str]


def views(
    comparison: Comparison,
    sources: Sequence[Path],
    data_dir: str,
    packages: Sequence[str] = (),
    with_images: bool = True,
    seen: dict[Run, Answers[Picture] | str] | None = None,
) -> list[View]:
    """Put together what is known of each cell that has a run.

    Args:
        comparison: a table.
        sources: folders that hold those of runs.
        data_dir: where the data are.
        packages: whose classes may be built besides this project's.
        with_images: whether networks run again, on their test sets.
        seen: images of runs that other tables have, too; those of this one are added.
    """
    seen = {} if seen is None else seen
    found = []
    for column in comparison.table.columns:
        cells = [c for c in comparison.cells if c.column == column and c.records]
        left = {cell.row.key: _folders(cell.records, sources) for cell in cells}
        runs = _testable(cells, left) if with_images else {}
        new = [run for run in runs.values() if run not in seen]
        seen |= answers_of(new, encoded, data_dir, packages)
        missing = "none was asked for" if not with_images else "no run left its weights here"
        for cell in cells:
            row = cell.row.key
            images = seen[runs[row]] if row in runs else missing
            found.append(_view(comparison, cell, left[row], images))
    return found


def _folders(records: Sequence[Record], sources: Sequence[Path]) -> list[tuple[Record, Path]]:
    """Return the runs that left a folder, and where; those with weights first.

    A run that is unfinished here may be published elsewhere.
    """

    def lacks_weights(folder: Path) -> bool:
        return not (folder / WEIGHTS).is_file()

    found = []
    for record in records:
        folders = [f for s in sources if ((f := s / record.run_id) / CONFIG).is_file()]
        found += [(record, f) for f in sorted(folders, key=lacks_weights)[:1]]
    return sorted(found, key=lambda run: lacks_weights(run[1]))


def _testable(
    cells: Sequence[TableCell], left: Mapping[str, Sequence[tuple[Record, Path]]]
) -> dict[str, Run]:
    """Return by row the run that is shown if it has weights, beside its baseline's of its seed."""
    weights = {
        row: {r.seed: folder for r, folder in runs if (folder / WEIGHTS).is_file()}
        for row, runs in left.items()
    }
    labels = {cell.row.key: cell.row.label for cell in cells}
    runs = {}
    for row, cell in ((cell.row.key, cell) for cell in cells if weights[cell.row.key]):
        seed, folder = next(iter(weights[row].items()))
        base = str(cell.row.baseline)
        rival = weights.get(base, {}).get(seed)
        runs[row] = Run(folder, (labels[base], rival) if rival else None)
    return runs


def _view(
    comparison: Comparison,
    cell: TableCell,
    left: Sequence[tuple[Record, Path]],
    images: Answers[Picture] | str,
) -> View:
    shown, folder = left[0] if left else (cell.records[0], None)
    logged: dict[str, Rows] = {}
    pictures: Sequence[Picture] = ()
    damaged = []
    for record, place in left:
        if not (place / METRICS).exists():  # of a published network
            continue
        try:
            logged[f"seed {record.seed}"] = MetricsFile(place / METRICS).rows()
        except (OSError, ValueError) as error:
            damaged.append(f"{METRICS} of {record.run_id}: {type(error).__name__}: {error}")
    if folder is not None:
        try:
            pictures = gallery(folder / PANELS)
        except (OSError, ValueError) as error:
            damaged.append(f"{PANELS} of {shown.run_id}: {type(error).__name__}: {error}")
    return View(
        key="-".join((comparison.table.name, comparison.recipe, cell.column.key, cell.row.key)),
        cell=cell,
        costs=costs(cell.records),
        shown=shown,
        has_folder=folder is not None,
        config=yaml.safe_dump(shown.config, sort_keys=False, allow_unicode=True),
        charts=charts(logged),
        gallery=pictures,
        images=images,
        damaged=scrub(damaged),
    )
