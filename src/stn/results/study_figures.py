"""Figures of studies: one, a dot a seed; and all, what each row measures beside its baseline."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from stn.results.comparison import Comparison
from stn.results.study import BUDGET, Study
from stn.results.table import Column
from stn.results.table_figures import COLOURS


def draw_study(comparison: Comparison) -> Figure | None:
    """Draw a panel a column and a line a row; None where nothing is finished."""
    shown = [c for c in comparison.table.columns if any(f.column == c for f in comparison.filled)]
    if not shown:
        return None
    height = 1.4 + 0.3 * len(comparison.table.rows)
    figure = Figure(figsize=(3 + 3.2 * len(shown), height), layout="constrained", dpi=110)
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, column in zip(panels, shown, strict=True):
        _draw_column(axes, comparison, column)
    return figure


def _draw_column(axes: Axes, comparison: Comparison, column: Column) -> None:
    rows, metric = comparison.table.rows, comparison.table.metric
    groups = [*dict.fromkeys(row.group for row in rows)]
    for place, row in enumerate(rows):
        cell = comparison.cell(row.key, column.key)
        colour = COLOURS[groups.index(row.group) % len(COLOURS)]
        values = [record.metrics[metric.name] for record in cell.finished]
        axes.plot(values, [place] * len(values), "o", color=colour, alpha=0.35, markersize=4)
        if cell.ours is not None:
            sd = cell.ours.sd or 0.0
            axes.errorbar(cell.ours.mean, place, xerr=sd, fmt="|", color=colour, markersize=12)
    unit = f" ({metric.unit})" if metric.unit else ""
    axes.set(title=f"{column.key} ({column.label})", xlabel=f"{metric.label}{unit}")
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    if metric.better == "lower" and axes.get_xlim()[0] > 0:
        _make_logarithmic(axes, labelsize=8)
    axes.grid(axis="x", which="both", alpha=0.25)


class Relative(NamedTuple):
    """A row in a column, relative to its baseline there.

    Attributes:
        value: quotient of the means over seeds.
        interval: its 95 % interval, without the baseline's own; None below three seeds.
    """

    value: float
    interval: tuple[float, float] | None


def relatives(study: Study, path: Path) -> dict[str, list[Relative]]:
    """Return, by row, what the committed rendering of a study (CSV) has beside a baseline.

    Args:
        study: as planned; rows come in its order.
        path: of the rendering, which need not be there.
    """
    lines = [*csv.DictReader(path.open(encoding="utf-8"))] if path.exists() else []
    means = {(line["row"], line["column"]): line["mean"] for line in lines}
    found: dict[str, list[Relative]] = {row.key: [] for row in study.rows}
    for line in lines:
        base = means.get((line["baseline"], line["column"]))
        if not base or not line["mean"] or float(base) == 0:
            continue
        ends = [line["interval_low"], line["interval_high"]]
        low, high = (float(end or line["mean"]) / float(base) for end in ends)
        interval = (low, high) if all(ends) else None
        found[line["row"]].append(Relative(float(line["mean"]) / float(base), interval))
    return {key: values for key, values in found.items() if values}


def draw_studies(studies: Sequence[Study], results: Path) -> Figure | None:
    """Draw a line a row, study after study; a mark a column, with its interval where there is one.

    Args:
        studies: as planned.
        results: the folder of the committed renderings.
    """
    found: Mapping[str, Mapping[str, Sequence[Relative]]] = {
        study.name: relatives(study, results / study.page / BUDGET / f"{study.page}.csv")
        for study in studies
    }
    shown = [study for study in studies if found[study.name]]
    if not shown:
        return None
    num = sum(len(found[study.name]) + 1 for study in shown)
    figure = Figure(figsize=(8, 1.2 + 0.19 * num), layout="constrained", dpi=110)
    axes = figure.subplots()
    axes.axvline(1, color="grey", linestyle=":")
    labels, line = [], 0
    for study, colour in zip(shown, COLOURS * len(shown), strict=False):
        unit = study.metric.label + ", more is better" * (study.metric.better == "higher")
        labels.append(f"{study.title.upper()} ({unit})")
        for key, values in found[study.name].items():
            line += 1
            row = study.row(key)
            labels.append(f"{row.label} / {study.row(str(row.baseline)).label}")
            for i, relative in enumerate(values):
                place = line + 0.5 * ((i + 0.5) / len(values) - 0.5)
                axes.plot(relative.value, place, "o", color=colour, markersize=3)
                if relative.interval is not None:
                    axes.plot(relative.interval, [place, place], color=colour, alpha=0.5)
        line += 1
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    _make_logarithmic(axes, labelsize=7)
    axes.xaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
    axes.set_xlabel("relative to the baseline, a mark a column")
    axes.grid(axis="x", which="both", alpha=0.25)
    return figure


def _make_logarithmic(axes: Axes, labelsize: int) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="x", which="both", labelsize=labelsize)
