"""Numbers that were logged in training as lines of a small chart: pure functions, no drawing.

matplotlib chooses the ticks. The page's template writes the SVG, with the page's own colours, light
and dark: matplotlib's would be five times as large, and there are some hundred charts on a page.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from matplotlib.ticker import LogLocator, MaxNLocator

WIDTH, HEIGHT = 320, 180
LEFT, RIGHT, TOP, BOTTOM = 34, 12, 24, 24  # what is outside of the axes, at the left at least
LETTER = 6.6  # width of a digit, with some room to spare
LOG_FROM = 10  # largest over smallest loss or error from which the axis is logarithmic
DASH = 8  # what is drawn of a single value
MAX_TICKS = 5
NOT_DRAWN = ("test_", "val_collapsed_", "sd_")  # what the record has; how far theta varies
ORDER = ("validation", "training", "theta", "warp")  # of charts; all others come behind
WORDS = {"val": "validation", "train": "training", "lr": "learning rate"}
UNITS = {"percent": "%"}  # last words of names
WARP_DIGITS = 6  # what is less is rounding, such as the bending of an affine warp
KINDS = {  # of a warp (`callbacks.warp_statistics`), by how the names begin: chart and unit
    "angle": ("angle", "degrees"),
    "scale": ("scale", "times the image"),
    "shift": ("shift", "half images"),
    "shear": ("shear", "0 none, 1 flat"),
    "bending": ("bending energy", "squared second derivatives"),
    "folded": ("folded, outside", "share of the area"),
    "outside": ("folded, outside", "share of the area"),
}

Rows = Sequence[tuple[int, str, float]]  # step, metric and value
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Chart:
    """A chart, ready to be drawn as SVG.

    Attributes:
        title: what was logged.
        lines: of each its name, its last value and its points in pixels, such as "40,10 80,20".
        x_ticks, y_ticks: place in pixels, and number.
        left: where the horizontal axis begins; what numbers there are on its left have room.
        is_log: whether the vertical axis is logarithmic.
        unit: of the vertical axis; empty where it has none.
    """

    title: str
    lines: tuple[tuple[str, float, str], ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    left: float
    is_log: bool
    unit: str


def charts(runs: Mapping[str, Rows]) -> list[Chart]:
    """Draw what runs logged: a chart for each metric, a line for each run.

    Metrics of one kind, such as the components of theta or the shifts along two axes, share a
    chart, which shows the first run only.

    Args:
        runs: rows of `metrics.csv`, by the name of the run.
    """
    found: dict[tuple[str, str], dict[str, dict[str, Points]]] = {}
    for run, rows in runs.items():
        for step, metric, value in rows:
            group, _, name = metric.rpartition("/")
            if not name.startswith(NOT_DRAWN) and math.isfinite(value):
                numbers = found.setdefault(_title_and_unit(group, name), {})
                shown = round(value, WARP_DIGITS) if group.startswith("warp") else value
                numbers.setdefault(name, {}).setdefault(run, []).append((step, shown))
    drawn = []
    for title, unit in sorted(found, key=lambda key: [not key[0].startswith(o) for o in ORDER]):
        numbers = found[title, unit]
        lines = {_words(name): next(iter(by_run.values())) for name, by_run in numbers.items()}
        if len(numbers) == 1:
            (lines,) = numbers.values()
        drawn.append(_chart(title, unit, lines))
    return drawn


def _title_and_unit(group: str, name: str) -> tuple[str, str]:
    words = name.split("_")
    if words[0] == "lr":
        return WORDS["lr"], ""
    if group.startswith("warp"):
        kind, unit = KINDS.get(words[0], (_words(name), ""))
        return f"{_words(group)}: {kind}", unit
    unit = UNITS.get(words[-1], "")
    return _words(group or "_".join(words[: len(words) - bool(unit)])), unit


def _words(name: str) -> str:
    return " ".join(WORDS.get(word, word) for word in name.split("_"))


def _chart(title: str, unit: str, lines: Mapping[str, Points]) -> Chart:
    xs, ys = zip(*chain.from_iterable(lines.values()), strict=True)
    is_log = (
        title.startswith((*ORDER[:2], "gradient")) and min(ys) > 0 and max(ys) >= LOG_FROM * min(ys)
    )
    y_low, y_high = min(ys), max(ys)
    if y_low == y_high:
        y_low, y_high = min(y_low, 0), max(y_high, 0) if y_high else 1
    x_low, x_high = min(xs), max(*xs, min(xs) + 1)

    locator = LogLocator(subs=(1, 2, 5)) if is_log else MaxNLocator(MAX_TICKS)
    y_values = [float(y) for y in locator.tick_values(y_low, y_high) if y_low <= y <= y_high]
    y_values = y_values[:: -(-len(y_values) // MAX_TICKS) or 1]
    left = max(LEFT, LETTER * (1 + max((len(f"{y:g}") for y in y_values), default=0)))

    def across(x: float) -> float:
        return round(left + (x - x_low) / (x_high - x_low) * (WIDTH - left - RIGHT), 1)

    def up(y: float) -> float:
        low, value, high = map(math.log, (y_low, y, y_high)) if is_log else (y_low, y, y_high)
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)

    def path(points: Points) -> str:
        places = [(across(x), up(y)) for x, y in points]
        places += [(places[0][0] + DASH, places[0][1])] * (len(places) == 1)
        return " ".join(f"{x},{y}" for x, y in places)

    x_values = MaxNLocator(MAX_TICKS - 1, integer=True).tick_values(x_low, x_high)
    return Chart(
        title,
        tuple((name, points[-1][1], path(points)) for name, points in lines.items()),
        tuple((across(x), f"{x:,.0f}") for x in x_values if x_low <= x <= x_high),
        tuple((up(y), f"{y:g}") for y in y_values),
        left,
        is_log,
        unit,
    )
