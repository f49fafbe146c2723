"""Numbers that were logged in training as lines of a small chart: pure functions, no drawing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from matplotlib.ticker import LogLocator, MaxNLocator

WIDTH, HEIGHT = 320, 180
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 24  # what is outside of the axes
LOG_FROM = 10  # largest over smallest loss or error from which the axis is logarithmic
DASH = 8  # what is drawn of a single value
MAX_TICKS = 5
NOT_DRAWN = ("test_", "val_collapsed_", "sd_")  # what the record has; how far theta varies
ORDER = ("val_", "train_", "theta")  # of charts; all others come behind
WORDS = {"val": "validation", "train": "training", "percent": "%"}

Rows = Sequence[tuple[int, str, float]]  # step, metric and value
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """A chart, ready to be drawn as SVG.

    Attributes:
        title: what was logged.
        lines: of each its name, its last value and its points in pixels, such as "40,10 80,20".
        x_ticks, y_ticks: place in pixels, and number.
        is_log: whether the vertical axis is logarithmic.
    """

    title: str
    lines: tuple[tuple[str, float, str], ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    is_log: bool


def charts(runs: Mapping[str, Rows]) -> list[Chart]:
    """Draw what runs logged: a chart for each metric, a line for each run.

    Metrics whose names have a part in common before a slash, such as those of theta, share a chart,
    which shows the first run only.

    Args:
        runs: rows of `metrics.csv`, by the name of the run.
    """
    found: dict[str, dict[str, Points]] = {}
    for i, (run, rows) in enumerate(runs.items()):
        for step, metric, value in rows:
            group, _, name = metric.rpartition("/")
            if name.startswith(NOT_DRAWN) or not math.isfinite(value) or (group and i):
                continue
            lines = found.setdefault(group or name, {})
            lines.setdefault(_words(name) if group else run, []).append((step, value))

    def place(group: str) -> tuple[list[bool], str]:
        return [not group.startswith(first) for first in ORDER], group

    return [_chart(group, found[group]) for group in sorted(found, key=place)]


def _words(name: str) -> str:
    return " ".join(WORDS.get(word, word) for word in name.split("_"))


def _chart(group: str, lines: Mapping[str, Points]) -> Chart:
    xs, ys = zip(*chain.from_iterable(lines.values()), strict=True)
    is_log = group.startswith(ORDER[:2]) and min(ys) > 0 and max(ys) >= LOG_FROM * min(ys)
    y_low, y_high = min(ys), max(ys)
    if y_low == y_high:
        y_low, y_high = min(y_low, 0), max(y_high, 0) if y_high else 1
    x_low, x_high = min(xs), max(*xs, min(xs) + 1)

    def across(x: float) -> float:
        return round(LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT), 1)

    def up(y: float) -> float:
        low, value, high = map(math.log, (y_low, y, y_high)) if is_log else (y_low, y, y_high)
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    def path(points: Points) -> str:
        places = [(across(x), up(y)) for x, y in points]
        places += [(places[0][0] + DASH, places[0][1])] * (len(places) == 1)
        return " ".join(f"{x},{y}" for x, y in places)

    locator = LogLocator(subs=(1, 2, 5)) if is_log else MaxNLocator(MAX_TICKS)
    y_values = [float(y) for y in locator.tick_values(y_low, y_high) if y_low <= y <= y_high]
    y_values = y_values[:: -(-len(y_values) // MAX_TICKS) or 1]
    x_values = MaxNLocator(MAX_TICKS - 1, integer=True).tick_values(x_low, x_high)
    return Chart(
        _words(group),
        tuple((name, points[-1][1], path(points)) for name, points in lines.items()),
        tuple((across(x), f"{x:,.0f}") for x in x_values if x_low <= x <= x_high),
        tuple((up(y), f"{y:g}") for y in y_values),
        is_log,
    )
