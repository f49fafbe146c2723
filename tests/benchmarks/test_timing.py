import itertools
from collections.abc import Callable

import pytest

from benchmarks.timing import Spread, fastest, interleave, ratio, spread, timed


def constant(seconds: float) -> Callable[[], float]:
    return lambda: seconds


def test_measures_take_turns() -> None:
    order: list[str] = []
    measures = {name: lambda name=name: order.append(name) or 1.0 for name in "ab"}
    interleave(measures, 3)
    assert order == ["a", "b"] * 3


def test_a_ratio_is_taken_within_each_round() -> None:
    drift = itertools.count(1)
    times = interleave({"a": lambda: 2.0 * next(drift), "b": lambda: 1.0 * next(drift)}, 3)
    assert ratio(times, "a", "b").median == pytest.approx(2 * 3 / 4)


def test_a_machine_that_slows_down_leaves_ratios_alone() -> None:
    rounds = {"a": [2.0, 4.0, 20.0], "b": [1.0, 2.0, 10.0]}
    assert ratio(rounds, "a", "b") == Spread(2, 2, 2)


def test_median_and_quartiles() -> None:
    assert spread([5.0, 1.0, 2.0, 4.0, 3.0]) == Spread(3, 2, 4)
    assert spread([7.0]) == Spread(7, 7, 7)
    assert Spread(3, 2, 4).times(10) == Spread(30, 20, 40)


def test_fastest_compares_medians_of_the_named() -> None:
    assert fastest({"a": [1, 9, 9], "b": [5, 5, 5], "c": [0, 0, 0]}, "a", "b") == "b"


def test_no_rounds_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one round"):
        interleave({"a": constant(1)}, 0)


@pytest.mark.parametrize(("units", "duration"), [(1, 0.5), (4, 0.001), (32, 3.0)])
def test_time_is_given_for_one_unit_whatever_the_repeats(units: int, duration: float) -> None:
    now = [0.0]

    def work() -> None:
        now[0] += duration

    measure = timed(work, units, clock=lambda: now[0], min_sample_s=0.02)
    start = now[0]
    assert measure() == pytest.approx(duration / units)
    assert now[0] - start >= min(duration, 0.02 - 1e-9)
