"""What was measured, as Markdown for people and JSON for programs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.targets import Verdict
from benchmarks.timing import Spread

DIGITS = 3


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

    @property
    def columns(self) -> list[str]:
        """Names of all columns, in the order in which they first appear."""
        return list(dict.fromkeys(name for row in self.rows for name in row.values))


def found(sections: list[Section]) -> dict[tuple[str, str, str], Spread]:
    """Return all measurements by (section, row, column)."""
    return {
        (section.key, row.key, column): value
        for section in sections
        for row in section.rows
        for column, value in row.values.items()
    }


def to_json(conditions: Mapping[str, Any], sections: list[Section], verdicts: list[Verdict]) -> str:
    """Render everything at full precision."""
    content = {
        "conditions": dict(conditions),
        "targets": [verdict.as_dict() for verdict in verdicts],
        "sections": {section.key: _as_dict(section) for section in sections},
    }
    return json.dumps(content, indent=1) + "\n"


def to_markdown(
    conditions: Mapping[str, Any], sections: list[Section], verdicts: list[Verdict]
) -> str:
    """Render the page: conditions, targets, then one table a section."""
    lines = ["# Benchmark", "", "Written by `make bench`. Each cell is the median over interleaved"]
    lines += ["rounds (quartiles); each ratio is the median of the rounds' ratios. Times are the"]
    lines += ["processor's time on the one thread, unless a section says otherwise.", ""]
    lines += [f"- {name}: {value}" for name, value in conditions.items()]
    lines += ["", "## Targets", "", "Bounds are compared at full precision; what is shown is"]
    lines += ["rounded away from its target.", ""]
    lines += _table(["what", "measured", "target", "reached"], [v.cells() for v in verdicts])
    for section in sections:
        lines += ["", f"## {section.title}", "", section.note, "", *_section_table(section)]
        lines += [line for reason in section.left_out for line in ("", f"Left out: {reason}.")]
    return "\n".join(lines).rstrip() + "\n"


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write the files of the report."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)


def _section_table(section: Section) -> list[str]:
    rows = [
        [row.what, *(_cell(row.values.get(column)) for column in section.columns)]
        for row in section.rows
    ]
    return _table(["what", *section.columns], rows)


def _cell(value: Spread | None) -> str:
    if value is None:
        return ""
    median, low, high = (_number(part) for part in value)
    return f"{median} ({low}–{high})"


def _number(value: float) -> str:
    """Three digits, and thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 10**DIGITS else f"{value:#.{DIGITS}g}".rstrip(".")


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _as_dict(section: Section) -> dict[str, Any]:
    rows = {
        row.key: {
            "what": row.what,
            "values": {column: value._asdict() for column, value in row.values.items()},
        }
        for row in section.rows
    }
    return {
        "title": section.title,
        "note": section.note,
        "rows": rows,
        "left_out": section.left_out,
    }
