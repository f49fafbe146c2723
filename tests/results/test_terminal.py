import io
from dataclasses import replace

import pytest
from rich.console import Console

from stn.results.comparison import compare
from stn.results.terminal import summary, to_terminal
from tests.results.conftest import CODE


def printed(comparison) -> list[str]:
    console = Console(file=io.StringIO(), width=80)
    console.print(to_terminal(comparison))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("worse", [0.0, 88.0])
def test_a_full_table_fits_into_eighty_columns(spec, table_records, worse):
    records = [
        replace(r, test_error_percent=round(r.test_error_percent + worse, 2)) for r in table_records
    ]
    lines = printed(compare(spec, records, "quick", CODE))
    assert max(len(line.rstrip()) for line in lines) <= 80
    for row in spec.rows:
        (line,) = (line for line in lines if line.startswith(f"{row.label} "))
        assert len(line.removeprefix(row.label).split()) == len(spec.columns)
        assert "…" not in line


def test_what_is_missing_or_went_wrong_is_seen(spec, make_record):
    records = [
        make_record(test_error_percent=1.25),
        make_record(model="fcn", status="failed"),
        make_record(model="fcn", data="mnist_e", status="diverged"),
    ]
    comparison = compare(spec, records, "quick", CODE)
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
