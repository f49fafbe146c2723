"""A table as filled: the records of each cell beside the paper's number.

Pure functions of the table's plan and the records. A number of the paper never becomes one of
ours: a cell without a finished run has no `ours`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from stn.results.records import Record
from stn.results.statistics import PairedTest, Summary, paired_test, summarise
from stn.results.table import Column, Row, TableSpec

Place = tuple[str, str]  # keys of row and column
RunIdOf = Callable[[Row, Column, int], str]


@dataclass(frozen=True)
class Cell:
    """One cell: what the paper has, what the runs gave.

    Attributes:
        paper: error in percent; None where the paper has no number.
        records: the newest run of each seed, by seed; failed and diverged ones included.
        num_wanted: how many seeds the table asks for, or how many its column has if more.
        ours: None without a finished run.
        test: over the seeds in common with the baseline's cell; None without any.
        share: smallest training budget of the finished runs, in samples relative to the paper's.
        other_code: a run was made by other code than renders the table, or does not tell by which.
        uncommitted: a run was made by code that differed from its commit.
        other_settings: a run was made with overrides, or by a configuration that is another now.
    """

    row: Row
    column: Column
    paper: float | None
    records: tuple[Record, ...]
    num_wanted: int
    ours: Summary | None
    test: PairedTest | None
    share: float | None
    other_code: bool
    uncommitted: bool
    other_settings: bool

    @property
    def difference(self) -> float | None:
        """Ours minus the paper's, in percent points."""
        return None if self.ours is None or self.paper is None else self.ours.mean - self.paper

    @property
    def finished(self) -> tuple[Record, ...]:
        """The runs that the numbers come from."""
        return tuple(record for record in self.records if record.status == "finished")

    @property
    def is_short(self) -> bool:
        """Whether a run trained on less than the paper's budget."""
        return self.share is not None and self.share < 1

    @property
    def status(self) -> str:
        """One of missing, failed, diverged, incomplete (fewer seeds than wanted), finished."""
        if self.finished:
            return "finished" if len(self.finished) >= self.num_wanted else "incomplete"
        statuses = {record.status for record in self.records}
        return next((s for s in ("diverged", "failed") if s in statuses), "missing")


@dataclass(frozen=True)
class Claim:
    """The best of a group of transformer networks against their baseline, in one column.

    Attributes:
        best: the cell with the smallest mean error; None if no cell of the group is finished.
        num_candidates: how many of the group are finished.
    """

    column: Column
    group: str
    baseline: Cell
    best: Cell | None
    num_candidates: int

    @property
    def difference(self) -> float | None:
        """Best minus baseline in percent points, over their common seeds; None without any."""
        if self.best is None or self.best.test is None:
            return None
        return self.best.test.difference


@dataclass(frozen=True)
class Comparison:
    """The whole table.

    Attributes:
        code: renders the table (`provenance.code_id`); what other code made is marked.
        remarks: what a reader of the numbers should know besides.
    """

    spec: TableSpec
    recipe: str
    cells: tuple[Cell, ...]
    claims: tuple[Claim, ...]
    code: str
    remarks: tuple[str, ...]

    def cell(self, row: str, column: str) -> Cell:
        """Return the cell of these keys."""
        return next(c for c in self.cells if (c.row.key, c.column.key) == (row, column))

    @property
    def records(self) -> tuple[Record, ...]:
        """All runs in the table, column after column."""
        return tuple(record for cell in self.cells for record in cell.records)


def compare(
    spec: TableSpec,
    records: Iterable[Record],
    recipe: str,
    code: str,
    run_id_of: RunIdOf | None = None,
) -> Comparison:
    """Fill a table with the records of one recipe, in whatever order they come.

    Args:
        spec: the table.
        records: of any runs.
        recipe: its name.
        code: renders the table; its `provenance.code_id`.
        run_id_of: names the run that a cell and a seed would be today, by the configuration as
            it is now; a run of another name is marked. None compares with no configuration.

    Records that are not of this table and recipe are left out.
    """
    runs = _runs_by_place(spec, [record for record in records if record.recipe == recipe])
    newest = {place: _newest(found) for place, found in runs.items()}
    cells = tuple(
        _cell(spec, row, column, newest, code, run_id_of)
        for column in spec.columns
        for row in spec.rows
    )
    remarks = tuple(_remarks(spec, runs, newest))
    return Comparison(spec, recipe, cells, tuple(_claims(spec, cells)), code, remarks)


def _runs_by_place(spec: TableSpec, records: Iterable[Record]) -> dict[Place, list[Record]]:
    """Sort records into the cells of the table, the oldest first.

    A run with settings of its own is an experiment, unless the table's sweep had them.
    """
    runs: dict[Place, list[Record]] = {
        (row.key, column.key): [] for row in spec.rows for column in spec.columns
    }
    for record in sorted(records, key=_age):
        if record.overrides and record.table != spec.name:
            continue
        for row in spec.rows:
            if (record.model, row.transform and record.transform) != (row.model, row.transform):
                continue
            for column in spec.columns:
                if record.data == column.data:
                    runs[row.key, column.key].append(record)
    return runs


def _age(record: Record) -> tuple[datetime, str]:
    return datetime.fromisoformat(record.finished_at), record.run_id


def _newest(runs: Sequence[Record]) -> tuple[Record, ...]:
    """Keep the newest run of each seed, of runs that are ordered by age; order them by seed."""
    by_seed = {record.seed: record for record in runs}
    return tuple(by_seed[seed] for seed in sorted(by_seed))


def _remarks(
    spec: TableSpec,
    runs: Mapping[Place, Sequence[Record]],
    newest: Mapping[Place, Sequence[Record]],
) -> Iterator[str]:
    """Name the cells that several runs compete for."""
    for (row, column), found in runs.items():
        counts = Counter(record.seed for record in found)
        for record in newest[row, column]:
            if counts[record.seed] > 1:
                yield (
                    f"{spec.row(row).label} on {column}, seed {record.seed}: "
                    f"{counts[record.seed]} runs with different settings; "
                    f"the newest, {record.run_id}, counts."
                )


def _errors(records: Iterable[Record]) -> dict[int, float]:
    """Return test errors in percent by seed, of the runs that have one."""
    errors = {record.seed: record.test_error_percent for record in records}
    return {seed: error for seed, error in errors.items() if error is not None}


def _cell(
    spec: TableSpec,
    row: Row,
    column: Column,
    newest: Mapping[Place, tuple[Record, ...]],
    code: str,
    run_id_of: RunIdOf | None,
) -> Cell:
    records = newest[row.key, column.key]
    errors = _errors(records)
    shares = [r.samples / spec.paper.samples for r in records if r.status == "finished"]
    seeds = {r.seed for (_, key), found in newest.items() if key == column.key for r in found}
    baseline = _errors(newest[row.baseline, column.key]) if row.baseline else {}
    return Cell(
        row=row,
        column=column,
        paper=spec.paper.numbers.get(column.key, {}).get(row.key),
        records=records,
        num_wanted=max(spec.seeds, len(seeds)),
        ours=summarise([*errors.values()]) if errors else None,
        test=paired_test(errors, baseline),
        share=min(shares, default=None),
        other_code=any(record.code != code for record in records),
        uncommitted=any(record.git_dirty for record in records),
        other_settings=any(
            bool(record.overrides)
            or (run_id_of is not None and record.run_id != run_id_of(row, column, record.seed))
            for record in records
        ),
    )


def _claims(spec: TableSpec, cells: Sequence[Cell]) -> Iterator[Claim]:
    """Compare, per column, the best of each group that has a baseline with this baseline."""
    at = {(cell.row.key, cell.column.key): cell for cell in cells}
    pairs = dict.fromkeys((row.group, row.baseline) for row in spec.rows if row.baseline)
    for column in spec.columns:
        for group, baseline in pairs:
            members = [at[row.key, column.key] for row in spec.rows if row.group == group]
            means = {cell.row.key: cell.ours.mean for cell in members if cell.ours is not None}
            best = at[min(means, key=lambda key: means[key]), column.key] if means else None
            yield Claim(column, group, at[baseline, column.key], best, len(means))
