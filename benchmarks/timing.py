"""Interleaved measurements: A B A B ..., and ratios within each round.

A machine that is shared or warms up changes its speed from minute to minute. What is compared is
therefore run in turns, and compared within each turn; the median of those ratios is the result.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

Seconds = float
Measure = Callable[[], Seconds]
Times = dict[str, list[Seconds]]

MIN_SAMPLE_S = 0.02
"""A sample repeats its function until it takes about so long."""


class Spread(NamedTuple):
    """Median and quartiles of a measurement's rounds."""

    median: float
    low: float
    high: float

    def times(self, factor: float) -> "Spread":
        """Return the spread in another unit."""
        return Spread(*(factor * value for value in self))


def spread(values: list[float]) -> Spread:
    """Return median and quartiles of one value or more."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def interleave(measures: Mapping[str, Measure], rounds: int) -> Times:
    """Take every measure in turn, `rounds` times; return the seconds of each.

    Raises:
        ValueError: not even one round is asked for.
    """
    if rounds < 1:
        raise ValueError(f"a measurement needs at least one round, got {rounds}")
    times: Times = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            times[name].append(measure())
    return times


def ratio(times: Times, name: str, other: str) -> Spread:
    """Return the spread of the ratio `name` / `other` over the rounds."""
    return spread([a / b for a, b in zip(times[name], times[other], strict=True)])


def fastest(times: Times, *names: str) -> str:
    """Return the one of these that has the smallest median."""
    return min(names, key=lambda name: statistics.median(times[name]))


def timed(
    function: Callable[[], object],
    units: int = 1,
    clock: Callable[[], float] = time.process_time,
    min_sample_s: Seconds = MIN_SAMPLE_S,
) -> Measure:
    """Make a measure of the seconds that `function` takes for each of its units of work.

    The clock counts the processor's time on this process: with one thread that is what a watch
    shows on an idle machine, and it stays that where others want the core too. The function is run
    once to warm up, and then as often in each sample as fills `min_sample_s`.
    """
    function()
    start = clock()
    function()
    repeats = max(1, round(min_sample_s / max(clock() - start, 1e-6)))

    def measure() -> Seconds:
        start = clock()
        for _ in range(repeats):
            function()
        return (clock() - start) / (repeats * units)

    return measure
