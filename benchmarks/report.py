"""What was measured, as Markdown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.targets import TARGETS
from benchmarks.timing import Spread

INTRODUCTION = """\
# Benchmark

Written by `make bench`. Each cell is the median over interleaved rounds (quartiles); each ratio is
the median of the rounds' ratios. Times are the processor's time on the one thread, unless a section
says otherwise."""


@dataclass(frozen=True)
class Row:
    """One thing that was measured: a spread for each column, whose name says the unit."""

    key: str
    what: str
    values: dict[str, Spread]


@dataclass(frozen=True)
class Section:
    """One group of measurements.

    Attributes:
        key: the name of the group, as in `--only`.
        title: its heading.
        note: how it was measured and what the columns are.
        rows: the measurements.
        left_out: what could not be measured, and why.
    """

    key: str
    title: str
    note: str
    rows: list[Row]
    left_out: list[str] = field(default_factory=list)


def found(sections: list[Section]) -> dict[tuple[str, str, str], Spread]:
    """Return all measurements by (section, row, column)."""
    return {
        (section.key, row.key, column): value
        for section in sections
        for row in section.rows
        for column, value in row.values.items()
    }


def to_markdown(conditions: Mapping[str, Any], sections: list[Section]) -> str:
    """Render the page: conditions, targets, then one table a section."""
    lines = [INTRODUCTION, "", *(f"- {name}: {value}" for name, value in conditions.items())]
    lines += ["", "## Targets", "", "Bounds are compared at full precision; what is shown is"]
    lines += ["rounded away from its target.", ""]
    verdicts = [target.verdict(found(sections)) for target in TARGETS]
    lines += _table(["what", "measured", "target", "reached"], verdicts)
    for section in sections:
        columns = list(dict.fromkeys(name for row in section.rows for name in row.values))
        cells = [[row.what, *(_cell(row.values.get(c)) for c in columns)] for row in section.rows]
        lines += [
            "",
            f"## {section.title}",
            "",
            section.note,
            "",
            *_table(["what", *columns], cells),
        ]
        lines += [line for reason in section.left_out for line in ("", f"Left out: {reason}.")]
    return "\n".join(lines) + "\n"


def _cell(value: Spread | None) -> str:
    """Median and quartiles with three digits, or whole numbers with thousands apart."""
    if value is None:
        return ""
    median, low, high = (f"{x:,.0f}" if x >= 999.5 else f"{x:#.3g}".rstrip(".") for x in value)
    return f"{median} ({low}–{high})"


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]
