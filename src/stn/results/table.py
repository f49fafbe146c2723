"""A table as planned: rows, columns, seeds, what is measured, and the paper's numbers.

The content of `conf/table/<name>.yaml` becomes a `Table`, checked once.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import Field, JsonValue, ValidationError, model_validator

from stn.results.checks import Checked, Count, Line, Name, Positive, out_of_range, reason
from stn.results.identity import OF_A_SWEEP
from stn.results.records import MetricName

Cost = Annotated[float, Field(gt=0)]
Overrides = dict[Annotated[str, Field(pattern=r"^\+{0,2}[A-Za-z_][A-Za-z0-9_.@/]*$")], JsonValue]
Names = Annotated[tuple[Name, ...], Field(strict=False)]
Kind = TypeVar("Kind", bound="Table")
OF_A_RUN = ("seed", "recipe", *OF_A_SWEEP)  # what a sweep says, and no row or column


class Metric(Checked):
    """What a table shows of each run.

    Attributes:
        name: of the metric in a record, such as `test_error_percent`.
        label, unit: how it is called, such as "test error" and "%".
        digits, paper_digits: after the point, of our numbers and of the paper's.
        better: whether a good number is low or high.
    """

    name: Name
    label: Line
    unit: Line = ""
    digits: Count
    paper_digits: Count
    better: Literal["lower", "higher"]

    @property
    def sign(self) -> int:
        """What makes a number low where it is good, when multiplied with it."""
        return 1 if self.better == "lower" else -1


class Inside(Checked):
    """What is measured inside the finished networks of a table (`python -m stn.measure`).

    Attributes:
        label, unit: how it is called.
        digits: after the point.
        build: what measures it, by its `_target_`, one of `stn.inspecting.measures`; None of what a
            record has anyway, such as a metric of validation.
    """

    label: Line
    unit: Line = ""
    digits: Count
    build: dict[str, JsonValue] | None = None


class Column(Checked):
    """One of the settings that every network is run in, such as a data set.

    Attributes:
        overrides: of the configuration of a cell, such as `{data: mnist_r}`.
        cost: expected time of a run, relative to the other columns.
    """

    key: Name
    label: Line
    cost: Cost = 1.0
    overrides: Overrides = Field(default_factory=dict)

    @property
    def keys(self) -> list[str]:
        """What the overrides set."""
        return [key.lstrip("+") for key in self.overrides]


class Row(Column):
    """A network of the table; one without overrides has the paper's numbers only.

    Attributes:
        group: networks that differ in their transform only; the best of them is compared.
        baseline: key of the row that this one is compared with, if any.
    """

    group: Line = ""
    baseline: Name | None = None


class Note(Checked):
    """A footnote to the paper's numbers of some rows of a column, or of the column itself."""

    column: Name
    rows: Names = ()
    text: str


class Paper(Checked):
    """What the paper reports.

    Attributes:
        steps, batch_size: its training budget, if the table compares ours with it.
        numbers: of the table's metric, by column and row; where it gives none, none.
    """

    source: str
    seeds: Positive | None = None
    steps: Positive | None = None
    batch_size: Positive | None = None
    numbers: dict[Name, dict[Name, float]]
    notes: Annotated[tuple[Note, ...], Field(strict=False)] = ()

    @property
    def samples(self) -> int | None:
        """Number of training samples the paper's networks see, repetitions counted."""
        return self.steps * self.batch_size if self.steps and self.batch_size else None


class Table(Checked):
    """A table as planned; see `conf/table/table1.yaml` for what each part means.

    Attributes:
        recipes: what all cells are given with a recipe besides, such as a shorter budget.
        measures: what is measured besides, by the name that it has in the metrics of a record.
    """

    kind: ClassVar[str] = "table"  # where it stands in `conf/`, and what renders it
    name: Name
    title: Line
    caption: Line
    seeds: Positive
    only: Names | None
    metric: Metric
    columns: Annotated[tuple[Column, ...], Field(strict=False, min_length=1)]
    rows: Annotated[tuple[Row, ...], Field(strict=False, min_length=1)]
    mean: Line | None = None  # label of a last line, the mean over all rows; None for no such line
    paper: Paper | None = None
    recipes: dict[Name, Overrides] = Field(default_factory=dict)
    measures: dict[MetricName, Inside] = Field(default_factory=dict)

    @property
    def page(self) -> str:
        """What the files of all recipes begin with."""
        return self.name

    def file_name(self, recipe: str) -> str:
        """Return what the files of a recipe begin with."""
        return f"{self.page}_{recipe}"

    def row(self, key: str) -> Row:
        """Return the row of this name."""
        return next(row for row in self.rows if row.key == key)

    def paper_number(self, row: Row, column: Column) -> float | None:
        """Return what the paper has in a cell, if anything."""
        return self.paper.numbers.get(column.key, {}).get(row.key) if self.paper else None

    def notes(self, column: Column) -> list[Note]:
        """Return the notes on the paper's numbers of a column."""
        return [n for n in (self.paper.notes if self.paper else ()) if n.column == column.key]

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Check that every name that is used is there, and that nothing contradicts."""
        for fault in self._faults():
            raise ValueError(fault)
        return self

    def _faults(self) -> Iterator[str]:
        columns, rows = [c.key for c in self.columns], [r.key for r in self.rows]
        for what, keys in (("columns", columns), ("rows", rows)):
            yield from (
                f"{what}: {k} is there twice" for k in dict.fromkeys(keys) if keys.count(k) > 1
            )
        yield from _unknown("only: unknown column", self.only or (), columns)
        if self.only == ():
            yield "only: names no column, so there are no cells"
        for row in self.rows:
            place = f"rows.{row.key}"
            if row.baseline is not None:
                run = [r.key for r in self.rows if r.overrides and r != row]
                yield from _unknown(f"{place}.baseline: unknown row", [row.baseline], run)
                yield from [f"{place}.group: is missing, and there is a baseline"] * (not row.group)
            if not row.overrides and all(self.paper_number(row, c) is None for c in self.columns):
                yield f"{place}: has neither overrides nor a number of the paper"
            for column in self.columns:
                if both := [key for key in row.keys if key in column.keys]:
                    yield f"{place}: column {column.key} overrides {', '.join(both)}, too"
        for part in (*self.columns, *self.rows):
            if taken := [key for key in part.keys if key in OF_A_RUN]:
                yield f"{part.key}.overrides: {taken[0]} is chosen by the command"
            for recipe, overrides in self.recipes.items():
                if taken := [key for key in part.keys if key in overrides]:
                    yield f"{part.key}.overrides: recipes.{recipe} overrides {taken[0]}, too"
        if self.paper is not None:
            yield from self._faults_of_paper(self.paper, columns, rows)

    def _faults_of_paper(self, paper: Paper, columns: list[str], rows: list[str]) -> Iterator[str]:
        if (paper.steps is None) != (paper.batch_size is None):
            yield "paper: steps and batch_size are given both or not at all"
        yield from _unknown("paper.numbers: unknown column", paper.numbers, columns)
        yield from _unknown("paper.notes: unknown column", (n.column for n in paper.notes), columns)
        for named in (*paper.numbers.values(), *(note.rows for note in paper.notes)):
            yield from _unknown("paper: unknown row", named, rows)
        for column, numbers in paper.numbers.items():
            for row, number in numbers.items():
                if why := out_of_range(self.metric.name, number):
                    yield f"paper.numbers.{column}.{row}: {why}"


def _unknown(what: str, names: Iterable[str], known: list[str]) -> Iterator[str]:
    if unknown := [name for name in names if name not in known]:
        yield f"{what} {', '.join(unknown)}; there are: {', '.join(known)}"


def parse_table(name: str, content: Mapping[str, Any], kind: type[Kind] = Table) -> Kind:  # type: ignore[assignment]
    """Check the content of `conf/table/<name>.yaml`, and keep of its columns those of `only`.

    Args:
        name: of the file.
        content: of the file.
        kind: what it is to be; of a `Study`, the file is `conf/study/<name>.yaml`.

    Raises:
        ValueError: a key is missing, unknown or wrong; one line, which names the file and the key.
    """
    file = f"{kind.__name__.lower()}/{name}.yaml"
    try:
        table = kind.model_validate({"name": name, **content})
    except ValidationError as error:
        raise ValueError(f"{file}: {reason(error)}") from error
    if table.name != name:
        raise ValueError(f"{file}: name: a table is called as its file, not {table.name}")
    kept = tuple(c for c in table.columns if table.only is None or c.key in table.only)
    return table.model_copy(update={"columns": kept})


@dataclass(frozen=True)
class PlannedRun:
    """One run that a table, or any other sweep, asks for.

    Attributes:
        run_id: names it; a record of this id is in the table.
        row, column: keys of its cell in the table.
        overrides: Hydra's, that make its configuration.
        cost: expected time, relative to the other runs.
        config: its resolved configuration, as it is today.
    """

    run_id: str
    row: str = ""
    column: str = ""
    seed: int = 0
    overrides: tuple[str, ...] = ()
    cost: float = 1.0
    config: Mapping[str, Any] = field(default_factory=dict)
