from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from stn.drawing.examples import choose, classify, find_rivals
from stn.results.comparison import Comparison, compare
from stn.results.records import Record
from stn.results.table import parse_table
from tests.test_report import DONE

ROOT = Path(__file__).parents[2]
SPEC = parse_table(yaml.safe_load((ROOT / "conf/table/table1.yaml").read_text()))


def table(*runs: tuple[str, str | None, int], **fields: Any) -> Comparison:
    records = [
        Record(**DONE | {"run_id": f"{m}-{t}-{s}", "model": m, "transform": t, "seed": s} | fields)
        for m, t, s in runs
    ]
    return compare(SPEC, records, "quick", "c0de" * 3)


@given(
    labels=st.lists(st.integers(0, 3), max_size=30),
    num=st.integers(0, 6),
    rows=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_chosen_are_right_shared_first_and_spread_over_classes(
    labels: list[int], num: int, rows: int, seed: int
) -> None:
    classes = torch.tensor(labels, dtype=torch.int64)
    right = torch.rand(rows, len(labels), generator=torch.Generator().manual_seed(seed)) < 0.6
    chosen = choose(classes, right, num)
    shared = right.all(dim=0)
    for own, digits in zip(right, chosen, strict=True):
        assert own[digits].all()
        assert len(digits) == len(set(digits.tolist())) == min(num, int(own.sum()))
        is_shared = shared[digits].tolist()
        assert is_shared == sorted(is_shared, reverse=True)
        first = digits[: min(len(set(classes[shared].tolist())), num)]
        assert len(set(classes[first].tolist())) == len(first)
    if shared.sum() >= num:
        assert all(torch.equal(digits, chosen[0]) for digits in chosen)


def test_digits_come_in_the_order_of_the_test_set() -> None:
    labels = torch.tensor([5, 5, 1, 5, 1, 2])
    (chosen,) = choose(labels, torch.tensor([[True, True, True, True, True, False]]), 4)
    assert chosen.tolist() == [0, 2, 1, 4]


@pytest.mark.parametrize("num", [0, 1, 501])
def test_classify_takes_any_number_of_images(num: int) -> None:
    U = torch.rand(num, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(classify(nn.Flatten(), U), U.flatten(1).argmax(dim=1))


def test_rivals_have_one_seed_the_one_that_most_have() -> None:
    runs = [("cnn", None, s) for s in (0, 1, 2)]
    runs += [("st_cnn", "affine", 0), ("st_cnn", "affine", 1), ("st_cnn", "tps", 1)]
    rivals = find_rivals(table(*runs), SPEC.column("R"), "cnn")
    assert rivals is not None
    assert (rivals.baseline[0].key, rivals.baseline[1].seed) == ("cnn", 1)
    assert [(row.key, r.seed) for row, r in rivals.others] == [
        ("st_cnn_affine", 1),
        ("st_cnn_tps", 1),
    ]


@pytest.mark.parametrize(
    "runs",
    [
        [],
        [("cnn", None, 0)],
        [("st_cnn", "tps", 0)],
        [("cnn", None, 0), ("st_cnn", "tps", 1)],
        [("fcn", None, 0), ("st_cnn", "tps", 0)],
        [("cnn", None, 0), ("st_fcn", "tps", 0)],
    ],
)
def test_no_rivals_without_both_sides_of_one_seed(runs: list[tuple[str, str | None, int]]) -> None:
    assert find_rivals(table(*runs), SPEC.column("R"), "cnn") is None


def test_a_failed_run_is_no_rival() -> None:
    failed = {"status": "failed", "test_error_percent": None, "num_test": None, "message": "no"}
    comparison = table(("cnn", None, 0), ("st_cnn", "tps", 0), **failed)
    assert find_rivals(comparison, SPEC.column("R"), "cnn") is None
