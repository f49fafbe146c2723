"""Error against cost: what each recipe buys, row by row, beside the paper's numbers."""

from collections.abc import Sequence
from statistics import mean
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from stn.results.comparison import Cell, Comparison
from stn.results.costs import core_s
from stn.results.table import Column, Row

MIN_SHARE = 1e-3  # of the paper's images: what trained on less, such as `smoke`, shows nothing
COLOURS = ("#4477aa", "#ee6677", "#228833", "#aa3377")  # Tol's bright scheme, one a group
LINES = ("-", "--", ":", "-.")
MARKERS = "osD^vPX"
NOTE = (
    "Ours are means over seeds, hollow where a run recorded wall time only. "
    "The paper's errors stand at what its 150k steps of 256 images would cost here."
)


def draw_costs(comparisons: Sequence[Comparison], columns: Sequence[str]) -> Figure | None:
    """Draw one panel a column, of one comparison a recipe; None where nothing is finished.

    Both axes are logarithmic: minutes on one core (of the processor, or of the watch where runs do
    not tell), and test error in percent.
    """
    shown = [
        column
        for column in (comparisons[0].spec.columns if comparisons else ())
        if column.key in columns
        and any(_points(comparisons, row, column) for row in _rows(comparisons))
    ]
    if not shown:
        return None
    figure = Figure(figsize=(5.5 * len(shown) + 1.8, 5), layout="constrained", dpi=110)
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, column in zip(panels, shown, strict=True):
        _draw_column(axes, comparisons, column)
    handles = [*panels[0].get_legend_handles_labels()[0], *_markers(comparisons)]
    figure.legend(handles=handles, loc="outside right center", frameon=False)
    figure.supxlabel(NOTE, fontsize=8)
    return figure


def minutes(cell: Cell) -> float:
    """Mean cost of a cell's finished runs, in minutes of one core."""
    return mean(map(core_s, cell.finished)) / 60


def _rows(comparisons: Sequence[Comparison]) -> Sequence[Row]:
    return comparisons[0].spec.rows


def _points(comparisons: Sequence[Comparison], row: Row, column: Column) -> list[Cell]:
    """Cells with a number, the cheapest first."""
    cells = [comparison.cell(row.key, column.key) for comparison in comparisons]
    return sorted((c for c in cells if c.share is not None and c.share >= MIN_SHARE), key=minutes)


def _markers(comparisons: Sequence[Comparison]) -> list[Line2D]:
    """Legend of the markers: one a recipe that is drawn, and the paper's star."""
    drawn = {
        comparison.recipe: MARKERS[i % len(MARKERS)]
        for i, comparison in enumerate(comparisons)
        if any(cell.share is not None and cell.share >= MIN_SHARE for cell in comparison.cells)
    } | {"the paper": "*"}
    return [
        Line2D([], [], color="grey", linestyle="", marker=marker, label=label)
        for label, marker in drawn.items()
    ]


def _draw_column(axes: Axes, comparisons: Sequence[Comparison], column: Column) -> None:
    groups = list(dict.fromkeys(row.group for row in _rows(comparisons)))
    num_of_group = dict.fromkeys(groups, 0)
    markers = {c.recipe: MARKERS[i % len(MARKERS)] for i, c in enumerate(comparisons)}
    for row in _rows(comparisons):
        style = {
            "color": COLOURS[groups.index(row.group) % len(COLOURS)],
            "linestyle": LINES[num_of_group[row.group] % len(LINES)],
        }
        num_of_group[row.group] += 1
        _draw_row(axes, _points(comparisons, row, column), row.label, style, markers)
    axes.set(xscale="log", yscale="log", title=f"{column.key} ({column.label})")
    axes.set(xlabel="minutes on one core", ylabel="test error (%)")
    axes.grid(which="both", alpha=0.25)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")


def _draw_row(
    axes: Axes, cells: list[Cell], label: str, style: dict[str, Any], markers: dict[str, str]
) -> None:
    numbers = [(minutes(cell), cell.ours.mean) for cell in cells if cell.ours is not None]
    axes.plot(*zip(*numbers, strict=True) if numbers else ([], []), label=label, **style)
    for cell, point in zip(cells, numbers, strict=True):
        measured = all(run.cpu_s is not None for run in cell.finished)
        fill = style["color"] if measured else "none"
        marker = markers[cell.finished[0].recipe]
        axes.plot(*point, marker, color=style["color"], markerfacecolor=fill)
    last = cells[-1] if cells else None
    if last is not None and last.paper is not None and last.share is not None:
        axes.plot(
            [minutes(last) / last.share], [last.paper], "*", color=style["color"], markersize=11
        )
