"""A table as planned: rows, columns, seeds, the paper's numbers, and what to run first.

The plain dictionary of `conf/table/<name>.yaml` becomes a `TableSpec`, checked once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

T = TypeVar("T")
PARTS = ("name", "title", "caption", "seeds", "only", "columns", "rows", "paper")


@dataclass(frozen=True)
class Row:
    """A network of the table.

    Attributes:
        group: networks that differ in their transform only; the best of them is compared.
        transform: None for a network without a transformer.
        baseline: key of the row that this one is compared with, if any.
        cost: of a training step, relative to the other rows.
    """

    key: str
    label: str
    group: str
    model: str
    transform: str | None
    baseline: str | None
    cost: float


@dataclass(frozen=True)
class Column:
    """A data set of the table; `cost` of a training step is relative to the other columns."""

    key: str
    data: str
    label: str
    cost: float


@dataclass(frozen=True)
class Note:
    """A footnote to the paper's numbers of some rows of a column, or of the column itself."""

    column: str
    rows: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Paper:
    """What the paper reports.

    Attributes:
        steps, batch_size: its training budget.
        tolerance: half a unit of the last digit it prints.
        numbers: test error in percent by column and row; where it gives none, none.
    """

    source: str
    seeds: int
    steps: int
    batch_size: int
    tolerance: float
    numbers: Mapping[str, Mapping[str, float]]
    notes: tuple[Note, ...]

    @property
    def samples(self) -> int:
        """Number of training images the paper's networks see, repetitions counted."""
        return self.steps * self.batch_size


@dataclass(frozen=True)
class TableSpec:
    """A table as planned; see `conf/table/table1.yaml` for what each part means."""

    name: str
    title: str
    caption: str
    seeds: int
    only: tuple[str, ...] | None
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    column_waves: tuple[tuple[str, ...], ...]
    row_waves: tuple[tuple[str, ...], ...]
    paper: Paper

    def row(self, key: str) -> Row:
        """Return the row of this name."""
        return next(row for row in self.rows if row.key == key)

    def column(self, key: str) -> Column:
        """Return the column of this name."""
        return next(column for column in self.columns if column.key == key)


@dataclass(frozen=True)
class PlannedCell:
    """One run that the table asks for.

    Attributes:
        overrides: Hydra's group choices and the seed; no transform for a network without one.
        cost: expected time, relative to the other cells of the table.
    """

    row: str
    column: str
    seed: int
    overrides: Mapping[str, str | int]
    cost: float


def parse_table(table: Mapping[str, Any]) -> TableSpec:
    """Check the content of `conf/table/<name>.yaml` and give it types.

    Raises:
        ValueError: a key is missing or unknown, or a name is used that no row or column has.
    """
    _same_keys("the table", table, [*PARTS, "order"])
    _same_keys("its order", table["order"], ["columns", "rows"])
    rows = tuple(_build(Row, row) for row in table["rows"])
    columns = tuple(_build(Column, column) for column in table["columns"])
    notes = [_build(Note, {**note, "rows": (*note["rows"],)}) for note in table["paper"]["notes"]]
    spec = TableSpec(
        name=table["name"],
        title=table["title"],
        caption=table["caption"],
        seeds=table["seeds"],
        only=None if table["only"] is None else tuple(table["only"]),
        columns=columns,
        rows=rows,
        column_waves=tuple(tuple(wave) for wave in table["order"]["columns"]),
        row_waves=tuple(tuple(wave) for wave in table["order"]["rows"]),
        paper=_build(Paper, {**table["paper"], "notes": tuple(notes)}),
    )
    _check(spec)
    return spec


def cells(
    table: Mapping[str, Any] | TableSpec,
    columns: Iterable[str] | None = None,
    seeds: int | None = None,
) -> list[PlannedCell]:
    """Return the runs that a table asks for, the cheapest and most telling first.

    Args:
        table: the content of `conf/table/<name>.yaml`.
        columns: only these; by default the table's `only`, or else all of them.
        seeds: 0 to seeds - 1; by default the table's number.

    Raises:
        ValueError: a column is unknown (the message lists those there are), or no seed is asked.
    """
    spec = table if isinstance(table, TableSpec) else parse_table(table)
    wanted = [column.key for column in spec.columns] if columns is None else list(columns)
    if columns is None and spec.only is not None:
        wanted = list(spec.only)
    _check_names("column", wanted, [column.key for column in spec.columns])
    num_seeds = _check_seeds(spec.seeds if seeds is None else seeds)
    return [
        _planned(spec.row(row), spec.column(column), seed)
        for seed in range(num_seeds)
        for column_wave in spec.column_waves
        for row_wave in spec.row_waves
        for column in column_wave
        if column in wanted
        for row in row_wave
    ]


def _planned(row: Row, column: Column, seed: int) -> PlannedCell:
    transform = {} if row.transform is None else {"transform": row.transform}
    overrides: dict[str, str | int] = {"model": row.model, **transform, "data": column.data}
    overrides["seed"] = seed
    return PlannedCell(row.key, column.key, seed, overrides, row.cost * column.cost)


def _build(kind: type[T], content: Mapping[str, Any]) -> T:
    _same_keys(f"a {kind.__name__.lower()} of the table", content, [f.name for f in fields(kind)])  # type: ignore[arg-type]
    return kind(**content)


def _same_keys(what: str, content: Mapping[str, Any], keys: Sequence[str]) -> None:
    if missing := [key for key in keys if key not in content]:
        raise ValueError(f"{what} lacks {', '.join(missing)}")
    _check_names(f"key of {what}", content, keys)


def _check(spec: TableSpec) -> None:
    """Check that every name that is used exists, and that every cell is run exactly once."""
    columns, rows = [c.key for c in spec.columns], [r.key for r in spec.rows]
    for what, waves, known in (
        ("columns", spec.column_waves, columns),
        ("rows", spec.row_waves, rows),
    ):
        ordered = [key for wave in waves for key in wave]
        if sorted(ordered) != sorted(set(known)):
            raise ValueError(f"the order must name each of the {what} once: {', '.join(known)}")
    _check_seeds(spec.seeds)
    _check_names("column", spec.only or (), columns)
    _check_names("baseline", [r.baseline for r in spec.rows if r.baseline is not None], rows)
    _check_names("column", [*spec.paper.numbers, *(n.column for n in spec.paper.notes)], columns)
    for part in (*spec.paper.numbers.values(), *(note.rows for note in spec.paper.notes)):
        _check_names("row", part, rows)


def _check_names(what: str, names: Iterable[str], known: Sequence[str]) -> None:
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"unknown {what} {', '.join(unknown)}; there are: {', '.join(known)}")


def _check_seeds(seeds: int) -> int:
    if not isinstance(seeds, int) or isinstance(seeds, bool) or seeds < 1:
        raise ValueError(f"seeds must be a whole number of at least 1, got {seeds!r}")
    return seeds
