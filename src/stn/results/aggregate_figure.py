"""Each transformer against its baseline over all columns of a table, with intervals."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stn.results.comparison import Comparison
from stn.results.statistics import Estimate

COLOUR = "#4477aa"


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
    _draw(left, [a.improvement for a in aggregates], 0.5, "probability of improvement")
    left.set_xlim(-0.02, 1.02)
    relative = f"{metric.label} / baseline's, interquartile mean"
    _draw(right, [a.relative for a in aggregates], 1.0, relative)
    columns = dict.fromkeys(key for a in aggregates for key in a.columns)
    figure.suptitle(
        f"{comparison.table.title}, {comparison.recipe}: over {', '.join(columns)}", fontsize=10
    )
    return figure


def _draw(axes: Axes, estimates: list[Estimate], no_effect: float, label: str) -> None:
    axes.axvline(no_effect, color="grey", linestyle=":")
    for line, estimate in enumerate(estimates):
        axes.plot(estimate.interval, [line, line], color=COLOUR, linewidth=5, alpha=0.35)
        axes.plot(estimate.value, line, "o", color=COLOUR)
    axes.set_xlabel(label)
    axes.grid(axis="x", alpha=0.25)
