from dataclasses import replace

import pytest

from stn.results.table import Metric
from stn.results.wording import (
    duration,
    interval,
    latex_text,
    markdown_code,
    markdown_text,
    number,
    ours,
    paired,
    share,
    signed,
    spread,
    status,
    time_taken,
)
from tests.results.conftest import comparison_of


def test_numbers_have_the_digits_that_they_are_known_to():
    assert (number(1.0, 2), number(1.0, 1), number(None, 2)) == ("1.00", "1.0", "–")


def test_a_difference_has_a_sign_and_no_negative_zero():
    assert signed(-0.25, 2) == "−0.25"
    assert signed(-0.001, 2) == "+0.00"
    assert signed(0.25, 1) == "+0.2"
    assert signed(None, 2) == "–"


def test_ranges_name_their_ends_once():
    assert spread([None, 2, 1000, 2]) == "2–1,000"
    assert spread([]) == "–"
    assert share([0.01426, None]) == "1.43 %"
    assert share([1e-9, 0.5]) == "below 0.001–50 %"
    assert share([]) == "–"


def test_a_duration_has_the_unit_that_suits_it():
    assert (duration(41), duration(120), duration(7200)) == ("41 s", "2.0 min", "2.0 h")


def test_text_cannot_become_markup():
    assert markdown_text("a|b\n<c>") == r"a\|b \<c\>"
    assert markdown_code("a `b`\nc") == "`a 'b' c`"
    assert latex_text(r"50 % \a_{b}") == r"50 \% \textbackslash{}a\_\{b\}"


def test_a_cell_says_on_how_many_seeds_it_stands(table, make_record):
    records = [make_record(1.0), make_record(seed=1, status="diverged")]
    cell = comparison_of(table, records).cell("cnn", "R")
    assert ours(cell) == "1.00 (1/2)"
    assert status(cell) == "finished 1/2, diverged 1"
    assert interval(cell) == "0.82 to 1.21 (of images)"
    of_no_share = Metric(name="x", label="x", unit="deg", digits=2, paper_digits=1, better="lower")
    assert interval(replace(cell, metric=of_no_share)) == "n too small"
    missing = comparison_of(table, records).cell("fcn", "R")
    assert (ours(missing), interval(missing), time_taken(missing)) == ("missing", "–", "–")


@pytest.mark.parametrize(
    ("transformer", "baseline", "expected"),
    [
        ([], [], "–"),
        ([1.0], [1.5], "−0.50 (n too small)"),
        ([1.0, 1.0, 1.0], [1.5, 1.5, 1.5], "−0.50 (the same for every seed)"),
        ([1.0, 1.1, 0.9], [1.5, 1.7, 1.6], "−0.60 (p = 0.0091)"),
    ],
)
def test_a_paired_test_needs_pairs_that_differ(table, make_record, transformer, baseline, expected):
    fields = {"model": "st_cnn", "transform": "affine"}
    records = [make_record(e, seed=i) for i, e in enumerate(baseline)]
    records += [make_record(e, seed=i, **fields) for i, e in enumerate(transformer)]
    cell = comparison_of(table, records).cell("st_cnn_affine", "R")
    assert paired(cell) == expected


def test_processor_time_is_told_where_every_run_tells_it(table, make_record):
    records = [make_record(seed=0, wall_s=60.0, cpu_s=30.0), make_record(seed=1, wall_s=61.0)]
    one, two = (comparison_of(table, records[:num]).cell("cnn", "R") for num in (1, 2))
    assert time_taken(one) == "60 s (CPU 30 s)"
    assert time_taken(two) == "2.0 min"


def test_a_cell_is_written_with_the_digits_of_its_metric(birds, make_record):
    metrics = [{"test_accuracy_percent": value} for value in (82.26, 83.26, 84.26)]
    records = [make_record(seed=i, metrics=m) for i, m in enumerate(metrics)]
    comparison = comparison_of(birds, records)
    cell = comparison.cell("cnn", "224px")
    assert ours(cell) == "83.3 ± 1.0"
    assert interval(cell) == "82.3 to 84.3"
    assert ours(comparison.cell("simon", "224px")) == "–"
