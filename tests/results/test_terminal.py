import io

import pytest
from rich.console import Console

from stn.results.terminal import summary, to_terminal
from tests.results.conftest import changed, comparison_of


def printed(comparison) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    console.print(to_terminal(comparison))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("worse", [0.0, 88.0])
def test_a_full_table_fits_into_eighty_columns(table, table_records, worse):
    records = [
        changed(r, metrics={k: round(v + worse, 2) for k, v in r.metrics.items()})
        for r in table_records
    ]
    lines = printed(comparison_of(table, records))
    assert max(len(line.rstrip()) for line in lines) <= 80
    for row in table.rows:
        (line,) = (line for line in lines if line.startswith(f"{row.label} "))
        assert len(line.removeprefix(row.label).split()) == len(table.columns)
        assert "…" not in line


def test_what_is_missing_or_went_wrong_is_seen(table, make_record):
    records = [
        make_record(1.25),
        make_record(model="fcn", status="failed"),
        make_record(model="fcn", data="mnist_e", status="diverged"),
    ]
    comparison = comparison_of(table, records)
    fcn, cnn = (
        next(line for line in printed(comparison) if line.startswith(name))
        for name in ("FCN", "CNN")
    )
    assert "1.2/1.25" in cnn
    assert "2.1/fail" in fcn
    assert "3.2/div." in fcn
    assert "5.2/·" in fcn
    assert summary(comparison) == (
        "48 cells: 1 diverged, 1 failed, 1 finished, 45 missing; "
        "1 with less than the paper's training budget."
    )


def test_a_row_of_the_paper_alone_is_no_missing_cell(birds, make_record):
    comparison = comparison_of(birds, [make_record(metrics={"test_accuracy_percent": 82.54})])
    assert [line.split() for line in printed(comparison)[2:]] == [
        ["Simon", "2015", "81.0/–"],
        ["CNN", "82.3/82.5"],
        ["2xST-CNN", "83.1/·"],
    ]
    assert summary(comparison) == "2 cells: 1 finished, 1 missing."


def test_a_table_without_the_paper_shows_ours_alone(study, make_record):
    lines = printed(comparison_of(study, [make_record(1.5)]))
    assert lines[0] == "Kernel size, recipe quick: test error (%)"
    assert lines[2].split() == ["CNN", "1.50"]


def test_how_many_cells_other_code_made_is_said(study, make_record):
    records = [make_record(code=None), make_record(seed=1)]
    said = summary(comparison_of(study, records))
    assert said == (
        "2 cells: 1 finished, 1 missing; 1 by code that may give other results than today's."
    )
