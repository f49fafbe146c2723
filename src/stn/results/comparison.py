"""A table as filled: the records of each cell beside the paper's number.

Pure functions of the table, the runs that it asks for, and the records. A number of the paper never
becomes one of ours: a cell without a finished run has no `ours`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from stn.results.code import made_by_this_code
from stn.results.records import Record
from stn.results.statistics import (
    MIN_SEEDS,
    Estimate,
    PairedTest,
    Summary,
    paired_test,
    probability_of_improvement,
    relative_to_baseline,
    summarise,
)
from stn.results.table import Column, Metric, PlannedRun, Row, Table

IsCurrent = Callable[[str | None, Mapping[str, Any]], bool]
Place = tuple[str, str]  # keys of row and column


@dataclass(frozen=True)
class TableCell:
    """One cell: what the paper has, what the runs gave.

    Attributes:
        metric: what the numbers are.
        paper: None where the paper has no number.
        records: one of each seed, by seed; failed and diverged ones included.
        num_wanted: how many seeds the table asks for, or how many its column has if more.
        ours: None without a finished run.
        test: over the seeds in common with the baseline's cell; None without any.
        share: smallest training budget of the finished runs, in samples relative to the paper's;
            None where the table has no budget of the paper's.
        other_code: a run was made by code that may give another result than today's.
        uncommitted: a run was made by code that differed from its commit.
    """

    row: Row
    column: Column
    metric: Metric
    paper: float | None
    records: tuple[Record, ...]
    num_wanted: int
    ours: Summary | None
    test: PairedTest | None
    share: float | None
    other_code: bool
    uncommitted: bool

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's."""
        return None if self.ours is None or self.paper is None else self.ours.mean - self.paper

    @property
    def reaches_paper(self) -> bool | None:
        """Whether ours is as good as the paper's number, at the precision that the paper prints."""
        if self.difference is None:
            return None
        return self.metric.sign * self.difference <= 0.5 * 10**-self.metric.paper_digits + 1e-9

    @property
    def finished(self) -> tuple[Record, ...]:
        """The runs that the numbers come from."""
        return tuple(record for record in self.records if self.metric.name in record.metrics)

    @property
    def is_short(self) -> bool:
        """Whether a run trained on less than the paper's budget."""
        return self.share is not None and self.share < 1

    @property
    def status(self) -> str:
        """One of finished, incomplete (too few seeds), diverged, failed, missing, ...

        Without a run of ours also `paper only`, and `unmeasured` if runs do not have the metric.
        """
        if not self.row.overrides:
            return "paper only"
        if self.finished:
            return "finished" if len(self.finished) >= self.num_wanted else "incomplete"
        statuses = {record.status for record in self.records}
        known = (s for s in ("diverged", "failed") if s in statuses)
        return next(known, "unmeasured" if statuses else "missing")

    @property
    def verdict(self) -> str | None:
        """Whether ours is better than the baseline, worse or equal; None if not known yet."""
        if self.test is None:
            return None
        loss = self.metric.sign * self.test.difference
        return "better" if loss < 0 else "worse" if loss > 0 else "equal"


@dataclass(frozen=True)
class Claim:
    """The best of a group of transformer networks against their baseline, in one column.

    Attributes:
        best: the cell with the best mean; None if no cell of the group is finished.
        num_candidates: how many of the group are finished.
    """

    column: Column
    group: str
    baseline: TableCell
    best: TableCell | None
    num_candidates: int


@dataclass(frozen=True)
class Aggregate:
    """A row against its baseline over all columns in which both have seeds enough.

    Attributes:
        columns: keys of these columns, of which there are at least two.
        improvement: probability that a run of the row is better than one of the baseline.
        relative: what is measured relative to the baseline, its interquartile mean.
    """

    row: Row
    baseline: Row
    columns: tuple[str, ...]
    improvement: Estimate
    relative: Estimate


@dataclass(frozen=True)
class Comparison:
    """The whole table.

    Attributes:
        aggregates: of the rows with a baseline.
        others: records that are not in the table, counted by their recipe.
    """

    table: Table
    recipe: str
    cells: tuple[TableCell, ...]
    claims: tuple[Claim, ...]
    aggregates: tuple[Aggregate, ...]
    others: Mapping[str, int]

    def cell(self, row: str, column: str) -> TableCell:
        """Return the cell of these keys."""
        return next(c for c in self.cells if (c.row.key, c.column.key) == (row, column))

    @property
    def filled(self) -> tuple[TableCell, ...]:
        """The cells with a number of ours."""
        return tuple(cell for cell in self.cells if cell.ours is not None)

    @property
    def records(self) -> tuple[Record, ...]:
        """All runs in the table, column after column; one that two cells share counts once."""
        return tuple({r.run_id: r for cell in self.cells for r in cell.records}.values())

    def is_best(self, cell: TableCell) -> bool:
        """Tell whether a cell has the best mean of ours in its column, and others have one."""
        rivals = [c.ours.mean for c in self.filled if c.column == cell.column and c.ours]
        best = min(rivals, key=lambda mean: self.table.metric.sign * mean, default=None)
        return cell.ours is not None and len(rivals) > 1 and cell.ours.mean == best

    def mean(self, column: Column) -> Summary | None:
        """Return ours over the rows of a column, seed by seed; None unless all rows have a seed."""
        rows = [c for c in self.cells if c.column == column and c.row.overrides]
        numbers = [{r.seed: r.metrics[c.metric.name] for r in c.finished} for c in rows]
        seeds = sorted(set.intersection(*map(set, numbers))) if numbers else []
        means = [sum(of_row[seed] for of_row in numbers) / len(numbers) for seed in seeds]
        return summarise(means) if means else None


def compare(
    table: Table,
    recipe: str,
    runs: Sequence[PlannedRun],
    records: Iterable[Record],
    is_current: IsCurrent = made_by_this_code,
) -> Comparison:
    """Fill a table with records, in whatever order they come.

    Args:
        table: the table.
        recipe: its runs' recipe, by name.
        runs: of all cells, and of all seeds that the records may have.
        records: of any runs; those of other ids than `runs` are not in the table.
        is_current: tells from a record's `code` and the configuration of its cell whether the code
            as it is now gives the same result.
    """
    by_id = {record.run_id: record for record in records}
    found = [run for run in sorted(runs, key=lambda run: run.seed) if run.run_id in by_id]
    places: dict[Place, dict[int, Record]] = {}
    for run in found:
        places.setdefault((run.row, run.column), {})[run.seed] = by_id[run.run_id]
    foreign = {r.run_id for r in found if not is_current(by_id[r.run_id].code, r.config)}
    cells = tuple(
        _cell(table, row, column, places, foreign) for column in table.columns for row in table.rows
    )
    others = by_id.keys() - {run.run_id for run in found}
    num_others = Counter(by_id[run_id].recipe for run_id in sorted(others))
    claims, aggregates = tuple(_claims(table, cells)), tuple(_aggregates(table, cells))
    return Comparison(table, recipe, cells, claims, aggregates, num_others)


def _cell(
    table: Table,
    row: Row,
    column: Column,
    places: Mapping[Place, Mapping[int, Record]],
    foreign: Set[str],
) -> TableCell:
    name, samples = table.metric.name, table.paper.samples if table.paper else None

    def runs_of(key: str | None) -> Mapping[int, Record]:
        return places.get((key, column.key), {}) if key is not None else {}

    def numbers_of(key: str | None) -> dict[int, float]:
        return {s: r.metrics[name] for s, r in runs_of(key).items() if name in r.metrics}

    ours, records = numbers_of(row.key), (*runs_of(row.key).values(),)
    return TableCell(
        row=row,
        column=column,
        metric=table.metric,
        paper=table.paper_number(row, column),
        records=records,
        num_wanted=max(table.seeds, len({seed for r in table.rows for seed in runs_of(r.key)})),
        ours=summarise([*ours.values()]) if ours else None,
        test=paired_test(ours, numbers_of(row.baseline)),
        share=min((r.samples / samples for r in records if samples and r.metrics), default=None),
        other_code=any(record.run_id in foreign for record in records),
        uncommitted=any(record.git_dirty for record in records),
    )


def _claims(table: Table, cells: Sequence[TableCell]) -> Iterator[Claim]:
    """Compare, per column, the best of each group that has a baseline with this baseline."""
    at = {(cell.row.key, cell.column.key): cell for cell in cells}
    pairs = dict.fromkeys((row.group, row.baseline) for row in table.rows if row.baseline)
    for column in table.columns:
        for group, baseline in pairs:
            rows = [r for r in table.rows if (r.group, r.baseline) == (group, baseline)]
            members = [at[row.key, column.key] for row in rows]
            means = {c.row.key: table.metric.sign * c.ours.mean for c in members if c.ours}
            best = at[min(means, key=lambda key: means[key]), column.key] if means else None
            yield Claim(column, group, at[str(baseline), column.key], best, len(means))


def _aggregates(table: Table, cells: Sequence[TableCell]) -> Iterator[Aggregate]:
    """Compare every row with its baseline, over all columns at once."""
    rows = {row.key: row for row in table.rows}
    numbers = {
        (cell.row.key, cell.column.key): [r.metrics[table.metric.name] for r in cell.finished]
        for cell in cells
        if len(cell.finished) >= MIN_SEEDS
    }
    for row in (row for row in table.rows if row.baseline):
        places = {
            column.key: ((row.key, column.key), (str(row.baseline), column.key))
            for column in table.columns
        }
        shared = {key: pair for key, pair in places.items() if set(pair) <= numbers.keys()}
        pairs = [(numbers[ours], numbers[baseline]) for ours, baseline in shared.values()]
        improvement = probability_of_improvement(pairs, table.metric.sign)
        relative = relative_to_baseline(pairs)
        if len(shared) > 1 and improvement and relative:
            yield Aggregate(row, rows[str(row.baseline)], tuple(shared), improvement, relative)
