import dataclasses
import math

import pytest

from stn.results.checks import (
    CHECKS,
    MAX_DEPTH,
    MAX_INT,
    integer,
    number,
    one_of,
    optional,
    plain,
    shown,
    string,
    timestamp,
)
from stn.results.records import Record


def test_every_field_of_a_record_has_a_check():
    assert CHECKS.keys() == {field.name for field in dataclasses.fields(Record)}


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (integer(0, 3), [0, 3], [-1, 4, 1.0, True, "1", None]),
        (number(0, 100), [0, 99.5], [-0.1, 100.1, math.nan, math.inf, True, "1", None]),
        (string(r"[a-z]+", "letters"), ["abc"], ["", "aB", "ab\n", 1, None]),
        (one_of((1, False)), [1, False], [True, 0, 2, "1", None]),
        (optional(integer(0)), [None, 1], [-1, "1"]),
        (
            timestamp,
            ["2015-06-05T12:00:00+00:00"],
            ["2015-06-05T12:00:00", "2015-06-05T12:00:00+02:00", "yesterday", 7, None],
        ),
        (plain, [{"a": [1, None, "b"]}], [{1: 2}, {"a": math.nan}, [MAX_INT + 1], "\ud800", {1}]),
    ],
)
def test_a_check_lets_the_good_pass_and_says_what_is_wrong(check, good, bad):
    assert [check(value) for value in good] == [None] * len(good)
    for value in bad:
        assert check(value), value


def test_depth_is_limited():
    value: list = []
    for _ in range(MAX_DEPTH + 1):
        value = [value]
    assert "nested" in str(plain(value))


def test_what_is_shown_of_a_value_is_short_and_plain():
    assert shown("é" * 100).isascii()
    assert len(shown("x" * 1000)) == 60
    assert shown(10**1000) == "a number of more than 64 bits"
