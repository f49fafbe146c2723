"""Figures of a table: what is measured against what it cost, and rows against their baselines."""

import textwrap
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from stn.results.comparison import Comparison, TableCell
from stn.results.costs import core_s
from stn.results.records import Record
from stn.results.statistics import Estimate
from stn.results.table import Column, Table

MIN_SHARE = 1e-3  # of the paper's samples: what trained on less, such as `smoke`, shows nothing
COLOURS = ("#4477aa", "#ee6677", "#228833", "#aa3377", "#66ccee", "#ccbb44")  # Tol's, one a group
LINES = ("-", "--", ":", "-.")
MARKERS = "osD^vPX"
NOTE = "Ours are means over seeds, hollow where a run recorded wall time only. "
NOTE_ON_PAPER = (
    "The paper's numbers stand at what its {steps:,} steps of {size:,} samples would cost here."
)
NOTE_CHARACTERS = 78  # below a panel
MAX_ACROSS = 3  # panels


def shows_something(record: Record, table: Table) -> bool:
    """Tell whether a run trained long enough to be drawn, if the table knows how long that is."""
    samples = table.paper.samples if table.paper else None
    return samples is None or record.samples >= MIN_SHARE * samples


def draw_costs(comparisons: Sequence[Comparison], columns: Sequence[str]) -> Figure | None:
    """Draw one panel a column, of one comparison a recipe; None where nothing is finished.

    The axes are minutes on one core (of the processor, or of the watch where runs do not tell), and
    the table's metric; logarithmic, but for a metric that is good where it is high.
    """
    table = comparisons[0].table
    points = {
        (row.key, column.key): _points(comparisons, row.key, column.key)
        for row in table.rows
        for column in table.columns
        if column.key in columns
    }
    shown = [c for c in table.columns if any(points.get((r.key, c.key)) for r in table.rows)]
    if not shown:
        return None
    across = min(len(shown), MAX_ACROSS)
    down = -(-len(shown) // across)
    figure = Figure(figsize=(5.5 * across + 1.8, 5 * down), layout="constrained", dpi=110)
    panels = [figure.add_subplot(down, across, i + 1) for i in range(len(shown))]
    markers = {c.recipe: MARKERS[i % len(MARKERS)] for i, c in enumerate(comparisons)}
    for axes, column in zip(panels, shown, strict=True):
        _draw_column(axes, table, column, points, markers)
    drawn = {cell.finished[0].recipe for cells in points.values() for cell in cells}
    legend = {recipe: marker for recipe, marker in markers.items() if recipe in drawn}
    note = NOTE
    if table.paper is not None and table.paper.steps is not None:
        legend |= {"the paper": "*"}
        note += NOTE_ON_PAPER.format(steps=table.paper.steps, size=table.paper.batch_size)
    handles = panels[0].get_legend_handles_labels()[0]
    handles += [
        Line2D([], [], color="grey", linestyle="", marker=marker, label=label)
        for label, marker in legend.items()
    ]
    figure.legend(handles=handles, loc="outside right center", frameon=False)
    figure.supxlabel(textwrap.fill(note, NOTE_CHARACTERS * across), fontsize=8)
    return figure


def minutes(cell: TableCell) -> float:
    """Mean cost of a cell's finished runs, in minutes of one core."""
    return mean(map(core_s, cell.finished)) / 60


def _points(comparisons: Sequence[Comparison], row: str, column: str) -> list[TableCell]:
    """Cells with a number that shows something, the cheapest first."""
    cells = [comparison.cell(row, column) for comparison in comparisons]
    tell = [cell for cell in cells if cell.share is None or cell.share >= MIN_SHARE]
    return sorted((cell for cell in tell if cell.finished), key=minutes)


def _draw_column(
    axes: Axes,
    table: Table,
    column: Column,
    points: Mapping[tuple[str, str], list[TableCell]],
    markers: Mapping[str, str],
) -> None:
    groups: dict[str, int] = {}  # how many rows of each have had their line
    for row in table.rows:
        if not row.overrides:  # the paper's number only, which stands at no cost of ours
            continue
        nth = groups[row.group] = groups.get(row.group, -1) + 1
        style: dict[str, Any] = {
            "color": COLOURS[list(groups).index(row.group) % len(COLOURS)],
            "linestyle": LINES[nth % len(LINES)],
        }
        cells = points[row.key, column.key]
        numbers = [(minutes(cell), cell.ours.mean) for cell in cells if cell.ours is not None]
        axes.plot(*zip(*numbers, strict=True) if numbers else ([], []), label=row.label, **style)
        for cell, point in zip(cells, numbers, strict=True):
            measured = all(run.cpu_s is not None for run in cell.finished)
            look = {"color": style["color"], "marker": markers[cell.finished[0].recipe]}
            axes.plot(*point, **look, markerfacecolor=style["color"] if measured else "none")
        if cells and cells[-1].paper is not None and cells[-1].share is not None:
            at = minutes(cells[-1]) / cells[-1].share
            axes.plot([at], [cells[-1].paper], "*", color=style["color"], markersize=11)
    scale = "log" if table.metric.better == "lower" else "linear"
    unit = f" ({table.metric.unit})" if table.metric.unit else ""
    axes.set(xscale="log", yscale=scale, title=f"{column.key} ({column.label})")
    axes.set(xlabel="minutes on one core", ylabel=f"{table.metric.label}{unit}")
    axes.grid(which="both", alpha=0.25)
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")


def draw_aggregates(comparison: Comparison) -> Figure | None:
    """Draw both numbers of every aggregate, a line each; None where there is none."""
    aggregates, metric = comparison.aggregates, comparison.table.metric
    if not aggregates:
        return None
    figure = Figure(figsize=(9, 1.3 + 0.38 * len(aggregates)), layout="constrained", dpi=110)
    left, right = figure.subplots(1, 2, sharey=True)
    labels = [f"{a.row.label} against {a.baseline.label}" for a in aggregates]
    left.set_yticks(range(len(labels)), labels)
    left.invert_yaxis()
    _draw_estimates(left, [a.improvement for a in aggregates], 0.5, "probability of improvement")
    left.set_xlim(-0.02, 1.02)
    relative = f"{metric.label} / baseline's, interquartile mean"
    _draw_estimates(right, [a.relative for a in aggregates], 1.0, relative)
    columns = dict.fromkeys(key for a in aggregates for key in a.columns)
    figure.suptitle(
        f"{comparison.table.title}, {comparison.recipe}: over {', '.join(columns)}", fontsize=10
    )
    return figure


def _draw_estimates(axes: Axes, estimates: list[Estimate], no_effect: float, label: str) -> None:
    axes.axvline(no_effect, color="grey", linestyle=":")
    for line, estimate in enumerate(estimates):
        axes.plot(estimate.interval, [line, line], color=COLOURS[0], linewidth=5, alpha=0.35)
        axes.plot(estimate.value, line, "o", color=COLOURS[0])
    axes.set_xlabel(label)
    axes.grid(axis="x", alpha=0.25)
