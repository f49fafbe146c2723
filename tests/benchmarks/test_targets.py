import pytest

from benchmarks.targets import TARGETS, Target
from benchmarks.timing import Spread

SPEED = Target("speed", ("a", "b", "c"), 150_000, at_least=True)
RATIO = Target("ratio", ("a", "b", "c"), 0.75)


@pytest.mark.parametrize(
    ("target", "median", "shown", "reached"),
    [
        (RATIO, 0.75, "0.750", "yes"),
        (RATIO, 0.75001, "0.751", "**no**"),
        (RATIO, 0.7499, "0.750", "yes"),
        (SPEED, 150_000.0, "150,000", "yes"),
        (SPEED, 149_999.9, "149,999", "**no**"),
    ],
)
def test_the_median_is_judged_and_not_rounded_towards_the_bound(
    target: Target, median: float, shown: str, reached: str
) -> None:
    bound = {RATIO: "≤ 0.75", SPEED: "≥ 150,000"}[target]
    measured = {target.place: Spread(median, 0.0, 1e9)}
    assert target.verdict(measured) == [target.what, shown, bound, reached]


def test_what_was_not_measured_is_neither_reached_nor_missed() -> None:
    assert RATIO.verdict({}) == ["ratio", "not measured here", "≤ 0.75", ""]


def test_no_two_targets_bound_the_same() -> None:
    assert len({target.place for target in TARGETS}) == len(TARGETS)
