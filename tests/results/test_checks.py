import math

import pytest
from pydantic import ValidationError

from stn.results.checks import Checked, Json, Name, out_of_range, reason, shown


class Pair(Checked):
    name: Name
    numbers: dict[str, float]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"name": "a"}, "numbers: is missing"),
        ({"name": "a", "numbers": {}, "b\n": 1}, r"'b\n': there is no such key"),
        (
            {"name": "a", "numbers": {"x": "1"}},
            "numbers.x: Input should be a valid number, found '1'",
        ),
        (
            {"name": "a", "numbers": {"x": True}},
            "numbers.x: Input should be a valid number, found True",
        ),
        ({"name": 1, "numbers": []}, "name: Input should be a valid string, found 1"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(content, line):
    with pytest.raises(ValidationError) as error:
        Pair.model_validate(content)
    assert reason(error.value) == line


def test_nothing_changes_afterwards():
    with pytest.raises(ValueError, match="frozen"):
        Pair.model_validate({"name": "a", "numbers": {}}).name = "b"


class Anything(Checked):
    value: Json


def nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", [None, 1, "é", [1.5, {"a": [None, True]}], {"a": {}}, nested(50)])
def test_what_json_can_say_is_kept(value):
    assert Anything(value={"a": value}).value == {"a": value}


@pytest.mark.parametrize(
    "value",
    [
        *({1: 2}, {"a": math.nan}, [math.inf], "\ud800", {"\ud800": 1}, {1}, (1,), [b""]),
        *([10**5000], [object()], nested(10_000)),
    ],
)
def test_what_json_cannot_say_is_refused(value):
    with pytest.raises(ValidationError) as error:
        Anything(value={"a": value})
    assert reason(error.value).startswith("value")


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("test_error_percent", [0, 99.5, 100], [-0.1, 100.1, math.nan, math.inf]),
        ("test_pixels", [-1e9, 0.5], [math.nan]),
    ],
)
def test_a_metric_is_in_the_range_that_its_name_says(name, good, bad):
    assert [out_of_range(name, value) for value in good] == [None] * len(good)
    assert all("is not in" in str(out_of_range(name, value)) for value in bad)


def test_what_is_shown_of_a_value_is_short_and_plain():
    assert shown("é" * 100).isascii()
    assert len(shown("x" * 1000)) == 60
    assert shown(10**5000) == "what is too long to show"
