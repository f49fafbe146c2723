"""How one figure of a table is written: the same words and digits in every format."""

import re
from collections.abc import Callable, Sequence

from stn.results.comparison import Cell
from stn.results.costs import cpu_s
from stn.results.statistics import MIN_SEEDS

# What is said of a cell beside its number; the legend explains those that occur.
MARKS: dict[str, Callable[[Cell], bool]] = {
    "short": lambda cell: cell.is_short,
    "other_code": lambda cell: cell.other_code,
    "uncommitted": lambda cell: cell.uncommitted,
    "other_settings": lambda cell: cell.other_settings,
}
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


def percent(value: float | None) -> str:
    """Write our error with the two digits that 10,000 test images give."""
    return "–" if value is None else f"{value:.2f}"


def paper_percent(value: float | None) -> str:
    """Write the paper's error as the paper does, with one digit after the point."""
    return "–" if value is None else f"{value:.1f}"


def signed(value: float | None) -> str:
    """Write a difference with its sign."""
    return "–" if value is None else f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")


def ours(cell: Cell) -> str:
    """Write our mean ± sd and how many of the wanted seeds it stands on, or why there is none."""
    if cell.ours is None:
        return cell.status
    sd = "" if cell.ours.sd is None else f" ± {cell.ours.sd:.2f}"
    seeds = f" ({cell.ours.n}/{cell.num_wanted})" if cell.status == "incomplete" else ""
    return f"{cell.ours.mean:.2f}{sd}{seeds}"


def status(cell: Cell) -> str:
    """Write what became of the seeds of a cell, such as `finished 2/3, diverged 1`."""
    parts = [f"finished {len(cell.finished)}/{cell.num_wanted}"] if cell.finished else []
    for word in ("failed", "diverged"):
        if number := sum(record.status == word for record in cell.records):
            parts.append(f"{word} {number}")
    if cell.is_short:
        parts.append("short")
    return ", ".join(parts) or cell.status


def interval(cell: Cell) -> str:
    """Write the 95 % interval of the mean, or that there are too few seeds for one."""
    if cell.ours is None:
        return "–"
    if cell.ours.interval is None:
        return "n too small"
    return "{:.2f} to {:.2f}".format(*cell.ours.interval)


def paired(cell: Cell) -> str:
    """Write the difference from the baseline over common seeds and the p-value of the test."""
    if cell.test is None:
        return "–"
    if cell.test.p_value is None:
        reason = "n too small" if cell.test.n < MIN_SEEDS else "the same for every seed"
        return f"{signed(cell.test.difference)} ({reason})"
    return f"{signed(cell.test.difference)} (p = {cell.test.p_value:.2g})"


def share(values: Sequence[float | None]) -> str:
    """Write the range of shares of the paper's training budget in percent."""
    known = [100 * value for value in values if value is not None]
    ends = dict.fromkeys("below 0.001" if v < 0.001 else f"{v:.3g}" for v in sorted(known))
    return "–".join([*ends][:: max(1, len(ends) - 1)]) + " %" if known else "–"


def spread(values: Sequence[float | int | None], form: str = ",.0f") -> str:
    """Write the smallest and the largest of some values, once if they are the same."""
    known = [value for value in values if value is not None]
    ends = dict.fromkeys(format(value, form) for value in (min(known), max(known))) if known else {}
    return "–".join(ends) or "–"


def duration(seconds: float) -> str:
    """Write a time in the unit that suits it."""
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s"


def time_taken(cell: Cell) -> str:
    """Write what the runs of a cell took, with the processor time where they tell it."""
    if not cell.records:
        return "–"
    taken, cpu = duration(sum(record.wall_s for record in cell.records)), cpu_s(cell.records)
    return taken if cpu is None else f"{taken} (CPU {duration(cpu)})"


def marks(cell: Cell) -> list[str]:
    """Return the names of the marks that a cell gets."""
    return [name for name, applies in MARKS.items() if applies(cell)]


def markdown_text(text: str) -> str:
    """Escape what Markdown or HTML would take for markup."""
    return re.sub(r"([\\`*_\[\]|<>~])", r"\\\1", " ".join(text.split()))


def markdown_code(text: str) -> str:
    """Write text as code, whatever quotes are in it."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"


def latex_text(text: str) -> str:
    """Escape what LaTeX would take for a command."""
    return "".join(_TEX_SPECIAL.get(character, character) for character in str(text))
