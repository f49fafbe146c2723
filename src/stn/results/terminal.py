"""A comparison on the terminal: as small as it can be, and what is missing."""

from collections import Counter

from rich.console import Group
from rich.table import Table
from rich.text import Text

from stn.results.comparison import Comparison, TableCell
from stn.results.wording import NONE, number

SHORT = {
    "missing": ("·", "dim"),
    "failed": ("fail", "red"),
    "diverged": ("div.", "red"),
    "unmeasured": ("?", "red"),
    "paper only": (NONE, "dim"),
}


def to_terminal(comparison: Comparison) -> Group:
    """Return the table to print in 80 columns: paper/ours, means only."""
    planned, metric = comparison.table, comparison.table.metric
    what = f"{'paper/ours, ' if planned.paper else ''}{metric.label}"
    unit = f" ({metric.unit})" if metric.unit else ""
    title = f"{planned.title}, recipe {comparison.recipe}: {what}{unit}"
    shown = Table(box=None, padding=(0, 0, 0, 1), pad_edge=False)
    shown.add_column("", no_wrap=True)
    for column in planned.columns:
        shown.add_column(column.key, justify="right", no_wrap=True)
    for row in planned.rows:
        cells = [comparison.cell(row.key, column.key) for column in planned.columns]
        shown.add_row(row.label, *(_entry(cell, planned.paper is not None) for cell in cells))
    return Group(Text(title), shown)  # a title of the table's own would be as narrow as the table


def summary(comparison: Comparison) -> str:
    """Say in one line how many cells have which status."""
    cells = [cell for cell in comparison.cells if cell.row.overrides]
    counts = Counter(cell.status for cell in cells)
    parts = [f"{count} {status}" for status, count in sorted(counts.items())]
    said = f"{len(cells)} cells: {', '.join(parts)}"
    if short := sum(cell.is_short for cell in cells):
        said += f"; {short} with less than the paper's training budget"
    if foreign := sum(cell.other_code for cell in cells):
        said += f"; {foreign} by code that may give other results than today's"
    return f"{said}."


def _entry(cell: TableCell, has_paper: bool) -> Text:
    ours = number(cell.ours.mean if cell.ours else None, cell.metric.digits)
    text, style = SHORT.get(cell.status, (ours, "yellow" if cell.status == "incomplete" else ""))
    return Text(
        f"{number(cell.paper, cell.metric.paper_digits)}/{text}" if has_paper else text, style
    )
