"""Renders a comparison as Markdown, CSV and LaTeX: the same figures, byte for byte repeatable.

Pure functions of a `Comparison`, and one that writes files. The layout is in `templates/`, the
wording of one number in `wording`.
"""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from stn.files.atomic import write_atomically
from stn.results import wording
from stn.results.comparison import Comparison, TableCell
from stn.results.costs import commit, costs, cpu_s, hours_for
from stn.results.study import Study
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
    wording.duration,
    wording.estimate,
    wording.inside,
    wording.latex_text,
    wording.markdown_code,
    wording.markdown_text,
    wording.mean_and_sd,
    wording.number,
    wording.ours,
    wording.paired,
    wording.spread,
)


class Detail(NamedTuple):
    """A column of the list of all cells: its title, what it says, and how it is set."""

    title: str
    write: Callable[[TableCell], str]
    alignment: str = "r"
    in_latex: bool = True


def write_reports(comparison: Comparison, folder: Path) -> list[Path]:
    """Write `<table>_<recipe>` or `study_<name>`, `.md`, `.csv` and `.tex`; return the paths.

    A table without any run of ours is not written over one that is there already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for suffix, render in (("md", to_markdown), ("csv", to_csv), ("tex", to_latex)):
        path = folder / f"{comparison.table.file_name(comparison.recipe)}.{suffix}"
        if comparison.records or not path.exists():
            write_atomically(path, render(comparison).encode())
            paths.append(path)
    return paths


def to_markdown(comparison: Comparison) -> str:
    """Render for a page on a forge: the table, the claims, every cell, costs and origin."""
    return _render(f"{comparison.table.kind}.md.j2", comparison)


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


def _csv_row(comparison: Comparison, cell: TableCell) -> dict[str, str]:
    """Return the fields of a cell; of several runs mean, sum, or all different values."""
    finished, ours, test = cell.finished, cell.ours, cell.test
    low, high = ours.interval if ours and ours.interval else (None, None)
    overrides = (cell.column.overrides | cell.row.overrides).items()
    numbers = {
        "paper": cell.paper,
        "mean": ours.mean if ours else None,
        "sd": ours.sd if ours else None,
        "n": len(finished),
        "n_wanted": cell.num_wanted,
        "n_failed": sum(record.status == "failed" for record in cell.records),
        "n_diverged": sum(record.status == "diverged" for record in cell.records),
        "interval_low": low,
        "interval_high": high,
        "difference": cell.difference,
        "baseline_difference": test.difference if test else None,
        "baseline_n": test.n if test else None,
        "baseline_p": test.p_value if test else None,
        "paper_share": cell.share,
        "wall_s": sum(record.wall_s for record in cell.records) if cell.records else None,
        "cpu_s": cpu_s(cell.records),
    }
    return {
        "table": comparison.table.name,
        "recipe": comparison.recipe,
        "column": cell.column.key,
        "row": cell.row.key,
        "overrides": " ".join(f"{key}={value}" for key, value in overrides),
        "baseline": cell.row.baseline or "",
        "metric": cell.metric.name,
        "status": cell.status,
        "marks": " ".join(wording.marks(cell)),
        **{key: "" if value is None else f"{value:.10g}" for key, value in numbers.items()},
        "num_params": _joined(record.num_params for record in finished),
        "steps": _joined(record.steps for record in finished),
        "step_ms": _joined(record.step_ms and f"{record.step_ms:.6g}" for record in finished),
        "seeds": _joined(record.seed for record in finished),
        "commits": _joined(commit(record) for record in cell.records),
    }


def _joined(values: Iterable[object]) -> str:
    """Join what the runs of a cell have, the same only once."""
    return " ".join(dict.fromkeys(str(value) for value in values if value is not None))


def environment(package: str, filters: Iterable[Callable], **settings: Any) -> Environment:
    """Return what renders the templates of a package, with filters by their names."""
    found = Environment(
        loader=PackageLoader(package),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **settings,
    )
    found.filters |= {function.__name__: function for function in filters}
    return found


def _render(template: str, comparison: Comparison) -> str:
    # Neither output is HTML; names and messages pass through the filters.
    settings = _TEX_DELIMITERS if template.endswith(".tex.j2") else {}
    found = environment("stn.results", FILTERS, autoescape=False, **settings)
    return found.get_template(template).render(_view(comparison))


def _view(comparison: Comparison) -> Mapping[str, Any]:
    """Return what the templates look at."""
    table, cells, filled = comparison.table, comparison.cells, comparison.filled
    samples = table.paper.samples if table.paper else None
    # What holds of all numbers is said once.
    common = [
        name for name in wording.MARKS if filled and all(name in wording.marks(c) for c in filled)
    ]
    marks = {id(c): [name for name in wording.marks(c) if name not in common] for c in cells}
    used = [name for name in wording.MARKS if any(name in found for found in marks.values())]
    notes = [note for column in table.columns for note in table.notes(column)]
    letters = {note: chr(ord("a") + i) for i, note in enumerate(notes)}
    reached = [cell.reaches_paper for cell in cells if cell.reaches_paper is not None]
    runs = [run for run in comparison.records if run.status == "finished"] if samples else []
    hours = [hours_for(samples or 0, run) for run in runs]

    def letters_of(column: Column, row: str | None) -> str:
        """Of the notes on the paper's number of a cell, or of those on a column as a whole."""

        def is_meant(note: Note) -> bool:
            return row in note.rows if row else not note.rows

        return "".join(letters[note] for note in table.notes(column) if is_meant(note))

    return {
        "comparison": comparison,
        "table": table,
        "details": _details(comparison),
        "costs": costs(comparison.records),
        "symbols": wording.MARKS,
        "marks_of": lambda cell: marks[id(cell)],
        "legend": {name: wording.MARKS[name].text(comparison) for name in used},
        "common": [wording.MARKS[name].text(comparison) for name in common],
        "notes": letters,
        "letters_of": letters_of,
        "cells_of": lambda column: [cell for cell in cells if cell.column == column],
        "num_runnable": sum(bool(cell.row.overrides) for cell in cells),
        "reached": reached,
        "paper_hours": [hour for hour in hours if hour is not None],
        "unfinished": [record for record in comparison.records if record.status != "finished"],
    }


def _details(comparison: Comparison) -> list[Detail]:
    """Return the columns of the list of all cells, without those that this table cannot have."""
    table = comparison.table
    digits, samples = table.metric.digits, table.paper.samples if table.paper else None

    def of_runs(name: str, form: str = ",.0f") -> Callable[[TableCell], str]:
        return lambda cell: wording.spread([getattr(r, name) for r in cell.finished], form)

    def paper_h(cell: TableCell) -> str:
        return wording.spread([hours_for(samples or 0, r) for r in cell.finished], ",.1f")

    found = [
        Detail("paper", lambda cell: wording.number(cell.paper, table.metric.paper_digits)),
        Detail("ours", lambda cell: wording.ours(cell) if cell.ours else wording.NONE),
        Detail("n", lambda cell: str(len(cell.finished))),
        Detail("95 % interval", wording.interval, "l"),
        Detail("ours − paper", lambda cell: wording.signed(cell.difference, digits)),
        Detail("ours − baseline", wording.paired, "l"),
        Detail("status", wording.status, "l"),
        Detail("parameters", of_runs("num_params"), in_latex=False),
        Detail("steps", of_runs("steps"), in_latex=False),
        Detail("of the paper's samples", lambda cell: wording.share([cell.share]), in_latex=False),
        Detail("ms/step", of_runs("step_ms", ",.1f"), in_latex=False),
        Detail("time", wording.time_taken, in_latex=False),
        Detail("the paper's budget, h", paper_h, in_latex=False),
    ]
    if isinstance(table, Study) and table.outcomes:
        went_wrong = Detail("went wrong", lambda cell: wording.outcomes(cell, table), "l")
        found.insert(3, went_wrong)
    unknown = set()
    if table.paper is None:
        unknown |= {"paper", "ours − paper"}
    if samples is None:
        unknown |= {"of the paper's samples", "the paper's budget, h"}
    if not comparison.claims:
        unknown |= {"ours − baseline"}
    return [detail for detail in found if detail.title not in unknown]
