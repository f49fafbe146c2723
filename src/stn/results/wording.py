"""How the numbers of a table are written: the same words and digits in every format."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stn.results.comparison import Comparison, TableCell
from stn.results.costs import cpu_s
from stn.results.statistics import (
    MIN_SEEDS,
    Estimate,
    Summary,
    interval_of_share,
    summarise,
)
from stn.results.study import Study

NONE = "–"
_TEX_SPECIAL = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "−": "$-$",
    "–": "--",
    "±": r"$\pm$",
}


@dataclass(frozen=True)
class Mark:
    """What is said of a cell beside its number, or once of all numbers if all have it."""

    symbol: str
    tex: str
    applies: Callable[[TableCell], bool]
    text: Callable[[Comparison], str]


def _short(comparison: Comparison) -> str:
    paper, cells = comparison.table.paper, comparison.filled
    assert paper is not None  # or no cell could be short of its budget
    shares = share([cell.share for cell in cells if cell.is_short])
    budget = f"{paper.samples:,} samples ({paper.steps:,} steps of {paper.batch_size})"
    return f"trained on {shares} of the {budget} that the paper's networks see"


MARKS = {
    "short": Mark("†", r"\dagger", lambda cell: cell.is_short, _short),
    "other_code": Mark(
        *("‡", r"\ddagger", lambda cell: cell.other_code),
        lambda _: (
            "made by other code than today's, or by code that no record tells; today's may give"
            " other results"
        ),
    ),
    "uncommitted": Mark(
        *("§", r"\S", lambda cell: cell.uncommitted),
        lambda _: "made by code with changes that were not committed",
    ),
}


def number(value: float | None, digits: int) -> str:
    """Write a number with so many digits after the point."""
    return NONE if value is None else f"{value:.{digits}f}"


def signed(value: float | None, digits: int) -> str:
    """Write a difference with its sign."""
    return NONE if value is None else f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "−")


def ours(cell: TableCell) -> str:
    """Write our mean ± sd and how many of the wanted seeds it stands on, or why there is none."""
    if cell.ours is None:
        return NONE if cell.status == "paper only" else cell.status
    seeds = f" ({cell.ours.n}/{cell.num_wanted})" if cell.status == "incomplete" else ""
    return f"{mean_and_sd(cell.ours, cell.metric.digits)}{seeds}"


def mean_and_sd(summary: Summary | None, digits: int) -> str:
    """Write mean ± sd, of one seed the value; of nothing, a dash."""
    if summary is None:
        return NONE
    sd = "" if summary.sd is None else f" ± {number(summary.sd, digits)}"
    return f"{number(summary.mean, digits)}{sd}"


def inside(cell: TableCell, name: str, digits: int) -> str:
    """Write what was measured inside the networks of a cell: mean ± sd over the seeds that tell."""
    values = [record.metrics[name] for record in cell.finished if name in record.metrics]
    return mean_and_sd(summarise(values), digits) if values else NONE


def status(cell: TableCell) -> str:
    """Write what became of the seeds of a cell, such as `finished 2/3, diverged 1`."""
    parts = [f"finished {len(cell.finished)}/{cell.num_wanted}"] if cell.finished else []
    for word in ("failed", "diverged"):
        if count := sum(record.status == word for record in cell.records):
            parts.append(f"{word} {count}")
    return ", ".join(parts) or cell.status


def outcomes(cell: TableCell, study: Study) -> str:
    """Write how many of the runs of a cell went wrong, and how."""
    found = [study.outcome(record.metrics[cell.metric.name]) for record in cell.finished]
    found += ["diverged"] * sum(record.status == "diverged" for record in cell.records)
    counts = [f"{name} {found.count(name)}" for name in ("diverged", *study.outcomes)]
    wrong = [count for count in counts if not count.endswith(" 0")]
    return f"{', '.join(wrong) or 'none'} of {len(found)}" if found else NONE


def interval(cell: TableCell) -> str:
    """Write the 95 % interval of the mean; of too few seeds, that of their test images alone."""
    if cell.ours is None:
        return NONE
    ends, of = cell.ours.interval, ""
    num_test = min((record.num_test or 0 for record in cell.finished), default=0)
    if ends is None and cell.metric.unit == "%" and num_test:
        ends, of = interval_of_share(cell.ours.mean, num_test), " (of images)"
    if ends is None:
        return "n too small"
    return " to ".join(number(end, cell.metric.digits) for end in ends) + of


def estimate(value: Estimate) -> str:
    """Write a number over columns and its interval."""
    low, high = value.interval
    return f"{value.value:.2f} ({low:.2f} to {high:.2f})"


def paired(cell: TableCell) -> str:
    """Write the difference from the baseline over common seeds and the p-value of the test."""
    if cell.test is None:
        return NONE
    difference = signed(cell.test.difference, cell.metric.digits)
    if cell.test.p_value is None:
        why = "n too small" if cell.test.n < MIN_SEEDS else "the same for every seed"
        return f"{difference} ({why})"
    return f"{difference} (p = {cell.test.p_value:.2g})"


def share(values: Sequence[float | None]) -> str:
    """Write the range of shares of the paper's training budget in percent."""
    known = [100 * value for value in values if value is not None]
    ends = dict.fromkeys("below 0.001" if v < 0.001 else f"{v:.3g}" for v in sorted(known))
    return "–".join([*ends][:: max(1, len(ends) - 1)]) + " %" if known else NONE


def spread(values: Sequence[float | int | None], form: str = ",.0f") -> str:
    """Write the smallest and the largest of some values, once if they are the same."""
    known = [value for value in values if value is not None]
    ends = dict.fromkeys(format(value, form) for value in (min(known), max(known))) if known else {}
    return "–".join(ends) or NONE


def duration(seconds: float) -> str:
    """Write a time in the unit that suits it."""
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def time_taken(cell: TableCell) -> str:
    """Write what the runs of a cell took, with the processor time where they tell it."""
    if not cell.records:
        return NONE
    taken, cpu = duration(sum(record.wall_s for record in cell.records)), cpu_s(cell.records)
    return taken if cpu is None else f"{taken} (CPU {duration(cpu)})"


def marks(cell: TableCell) -> list[str]:
    """Return the names of the marks that a cell gets."""
    return [name for name, mark in MARKS.items() if mark.applies(cell)]


def markdown_text(text: str) -> str:
    """Escape what Markdown or HTML would take for markup."""
    return re.sub(r"([\\`*_\[\]|<>~])", r"\\\1", " ".join(text.split()))


def markdown_code(text: str) -> str:
    """Write text as code, whatever quotes are in it."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"


def latex_text(text: str) -> str:
    """Escape what LaTeX would take for a command."""
    return "".join(_TEX_SPECIAL.get(character, character) for character in str(text))
