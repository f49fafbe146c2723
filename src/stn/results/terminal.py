"""A comparison on the terminal: as small as it can be, and what is missing."""

from collections import Counter

from rich.table import Table
from rich.text import Text

from stn.results.comparison import Cell, Comparison
from stn.results.figures import paper_percent, percent

SHORT = {"missing": ("·", "dim"), "failed": ("fail", "red"), "diverged": ("div.", "red")}


def to_terminal(comparison: Comparison) -> Table:
    """Return the table to print in 80 columns: paper/ours, means only."""
    spec = comparison.spec
    title = f"{spec.title}, recipe {comparison.recipe}: paper/ours, test error in percent"
    table = Table(title=title, box=None, padding=(0, 0, 0, 1), pad_edge=False, title_justify="left")
    table.add_column("", no_wrap=True)
    for column in spec.columns:
        table.add_column(column.key, justify="right", no_wrap=True)
    for row in spec.rows:
        entries = [_entry(comparison.cell(row.key, column.key)) for column in spec.columns]
        table.add_row(row.label, *entries)
    return table


def summary(comparison: Comparison) -> str:
    """Say in one line how many cells have which status."""
    counts = Counter(cell.status for cell in comparison.cells)
    parts = [f"{number} {status}" for status, number in sorted(counts.items())]
    short = sum(cell.is_short for cell in comparison.cells)
    budget = f"; {short} with less than the paper's training budget" if short else ""
    return f"{len(comparison.cells)} cells: {', '.join(parts)}{budget}."


def _entry(cell: Cell) -> Text:
    text, style = SHORT.get(cell.status, (percent(cell.ours.mean if cell.ours else None), ""))
    style = "yellow" if cell.status == "incomplete" else style
    return Text(f"{paper_percent(cell.paper)}/{text}", style)
