"""What a study found: every row in every column, a dot a seed, with mean and standard deviation."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stn.results.comparison import Comparison
from stn.results.cost_figure import COLOURS
from stn.results.table import Column


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
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("{x:g}")
        axes.tick_params(axis="x", which="both", labelsize=8)
    axes.grid(axis="x", which="both", alpha=0.25)
