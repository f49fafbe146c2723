"""Renders a comparison as Markdown, CSV and LaTeX: the same figures, byte for byte repeatable.

Pure functions of a `Comparison`. The layout is in `templates/`, the writing of one figure in
`figures`.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from stn.results import figures
from stn.results.comparison import Cell, Comparison
from stn.results.costs import commit, costs, cpu_s
from stn.results.table import Column, Note

_TEX_DELIMITERS: dict[str, Any] = {
    "block_start_string": "((*",
    "block_end_string": "*))",
    "variable_start_string": "(((",
    "variable_end_string": ")))",
    "comment_start_string": "((=",
    "comment_end_string": "=))",
}


FILTERS = (
    figures.percent,
    figures.paper_percent,
    figures.signed,
    figures.ours,
    figures.status,
    figures.interval,
    figures.paired,
    figures.share,
    figures.spread,
    figures.duration,
    figures.time_taken,
    figures.marks,
    figures.markdown_text,
    figures.markdown_code,
    figures.latex_text,
    commit,
)


def to_markdown(comparison: Comparison) -> str:
    """Render for a page on a forge: the table, the claims, every cell, costs and origin."""
    return _render("table.md.j2", comparison)


def to_latex(comparison: Comparison) -> str:
    r"""Render two tables to be `\input`; they need the packages booktabs and longtable."""
    return _render("table.tex.j2", comparison)


def to_csv(comparison: Comparison) -> str:
    """Render one line a cell; a figure that is not there is an empty field."""
    text = io.StringIO()
    rows = [_csv_row(comparison, cell) for cell in comparison.cells]
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _csv_row(comparison: Comparison, cell: Cell) -> dict[str, str]:
    """Return the fields of a cell; of several runs mean, sum, or all different values."""
    finished = cell.finished
    names = {
        "table": comparison.spec.name,
        "recipe": comparison.recipe,
        "column": cell.column.key,
        "data": cell.column.data,
        "row": cell.row.key,
        "model": cell.row.model,
        "transform": cell.row.transform or "",
        "baseline": cell.row.baseline or "",
        "status": cell.status,
        "marks": " ".join(figures.marks(cell)),
    }
    runs = {
        "num_params": _joined(record.num_params for record in finished),
        "steps": _joined(record.steps for record in finished),
        "step_ms": _joined(record.step_ms and f"{record.step_ms:.6g}" for record in finished),
        "seeds": _joined(record.seed for record in finished),
        "commits": _joined(commit(record) for record in cell.records),
    }
    return names | {key: _plain(value) for key, value in _csv_figures(cell).items()} | runs


def _csv_figures(cell: Cell) -> dict[str, float | None]:
    """Return the numbers of a cell in full."""
    ours, test = cell.ours, cell.test
    low, high = ours.interval if ours and ours.interval else (None, None)
    return {
        "paper_percent": cell.paper,
        "mean_percent": ours.mean if ours else None,
        "sd_percent": ours.sd if ours else None,
        "n": len(cell.finished),
        "n_wanted": cell.num_wanted,
        "n_failed": sum(record.status == "failed" for record in cell.records),
        "n_diverged": sum(record.status == "diverged" for record in cell.records),
        "interval_low_percent": low,
        "interval_high_percent": high,
        "difference_percent": cell.difference,
        "baseline_difference_percent": test.difference if test else None,
        "baseline_n": test.n if test else None,
        "baseline_p": test.p_value if test else None,
        "paper_share": cell.share,
        "wall_s": sum(record.wall_s for record in cell.records) if cell.records else None,
        "cpu_s": cpu_s(cell.records),
    }


def _plain(value: float | int | None) -> str:
    return "" if value is None else f"{value:.10g}"


def _joined(values: Iterable[object]) -> str:
    """Join what the runs of a cell have, the same only once."""
    return " ".join(dict.fromkeys(str(value) for value in values if value is not None))


def _render(template: str, comparison: Comparison) -> str:
    environment = Environment(
        loader=PackageLoader("stn.results"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # neither output is HTML; names and messages pass through the filters
        **(_TEX_DELIMITERS if template.endswith(".tex.j2") else {}),
    )
    environment.filters |= {function.__name__: function for function in FILTERS}
    return environment.get_template(template).render(_view(comparison))


def _view(comparison: Comparison) -> Mapping[str, Any]:
    """Return what the templates look at."""
    spec, cells = comparison.spec, comparison.cells
    filled = [cell for cell in cells if cell.ours is not None]
    return {
        "table": comparison,
        "spec": spec,
        "costs": costs(comparison.records),
        "used_marks": [
            name for name in figures.MARKS if any(name in figures.marks(cell) for cell in cells)
        ],
        "notes": {note: chr(ord("a") + i) for i, note in enumerate(spec.paper.notes)},
        "notes_of": lambda cell: _notes(comparison, cell.column, cell.row.key),
        "column_notes": lambda column: _notes(comparison, column, None),
        "cells_of": lambda column: [cell for cell in cells if cell.column == column],
        "is_best": lambda cell: _is_best(cell, filled),
        "num_filled": len(filled),
        "num_comparable": sum(cell.difference is not None for cell in cells),
        "num_reached": sum(_reaches(comparison, cell) is True for cell in cells),
        "shares": [cell.share for cell in filled if cell.is_short],
        "unfinished": [record for record in comparison.records if record.status != "finished"],
    }


def _notes(comparison: Comparison, column: Column, row: str | None) -> list[Note]:
    """Return the notes on the paper's number of a cell, or those on a column as a whole."""
    notes = [note for note in comparison.spec.paper.notes if note.column == column.key]
    return [note for note in notes if (row in note.rows if row else not note.rows)]


def _is_best(cell: Cell, filled: list[Cell]) -> bool:
    rivals = [c.ours.mean for c in filled if c.column == cell.column and c.ours is not None]
    return cell.ours is not None and len(rivals) > 1 and cell.ours.mean == min(rivals)


def _reaches(comparison: Comparison, cell: Cell) -> bool | None:
    """Whether our mean is as low as the paper's number, at the precision that the paper prints."""
    difference = cell.difference
    return None if difference is None else difference <= comparison.spec.paper.tolerance + 1e-9
