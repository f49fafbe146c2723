import math

import pytest

from stn.callbacks.warp_statistics import telling
from stn.pages.charts import BOTTOM, HEIGHT, LETTER, RIGHT, TOP, WIDTH, charts
from stn.transformers import Affine


def points(line: str) -> list[tuple[float, ...]]:
    return [tuple(map(float, point.split(","))) for point in line.split()]


def test_one_line_a_run_and_of_metrics_with_a_common_part_those_of_the_first_run() -> None:
    rows = [(0, "train_loss", 2.0), (0, "theta/mean_0", 1.0), (0, "theta/mean_1", 0.0)]
    rows += [(9, "val_error_percent", 4.0), (9, "theta/sd_0", 1.0), (9, "test_error_percent", 3.0)]
    found = charts({"seed 0": rows, "seed 1": [(0, "train_loss", 1.0), (0, "theta/mean_0", 7.0)]})
    named = [(chart.title, [(name, last) for name, last, _ in chart.lines]) for chart in found]
    assert named == [
        ("validation error", [("seed 0", 4.0)]),
        ("training loss", [("seed 0", 2.0), ("seed 1", 1.0)]),
        ("theta", [("mean 0", 1.0), ("mean 1", 0.0)]),
    ]
    assert [chart.unit for chart in found] == ["%", "", ""]


def test_numbers_of_a_warp_share_a_chart_only_if_they_are_of_one_kind() -> None:
    family = Affine()
    names = telling(family, family.identity()[None])
    rows = [(step, f"warp{mark}/{name}", 1.0) for step in (0, 9) for mark in ("", "_2")
            for name in names]  # fmt: skip
    found = charts({"seed 0": rows, "seed 1": rows})
    drawn = {chart.title: [name for name, _, _ in chart.lines] for chart in found}
    assert len(drawn) == len(found) == 2 * 6
    assert drawn["warp: angle"] == drawn["warp 2: bending energy"] == ["seed 0", "seed 1"]
    assert drawn["warp: shift"] == ["shift x", "shift y"]
    assert all(chart.unit for chart in found)


LONG = [[0.00391, 0.00403, 0.00399], [-0.0025, 0.0, -0.001]]


@pytest.mark.parametrize("values", [[3.0, 1.0, 2.0], [100.0, 1.0, 10.0], [-1.0, 1.0, 0.0], *LONG])
def test_lines_fill_the_axes_and_ticks_are_where_their_numbers_are(values: list[float]) -> None:
    (chart,) = charts({"": [(step, "val_m", value) for step, value in enumerate(values)]})
    xs, ys = zip(*points(chart.lines[0][2]), strict=True)
    middle = (chart.left + WIDTH - RIGHT) / 2
    assert xs == pytest.approx((chart.left, middle, WIDTH - RIGHT), abs=0.06)
    assert all(LETTER * len(text) < chart.left for _, text in chart.y_ticks)
    assert sorted(range(3), key=lambda i: -ys[i]) == sorted(range(3), key=lambda i: values[i])
    assert (min(ys), max(ys)) == (TOP, HEIGHT - BOTTOM)
    scale = math.log if chart.is_log else float
    low, high = scale(min(values)), scale(max(values))
    assert chart.is_log == (values[0] == 100)
    assert 2 <= len(chart.y_ticks) <= 6
    for y, text in chart.y_ticks:
        share = (scale(float(text)) - low) / (high - low)
        assert y == pytest.approx(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), abs=0.06)
    assert [text for _, text in chart.x_ticks] == ["0", "1", "2"]


def test_a_single_and_a_constant_value_and_what_is_no_number() -> None:
    rows = [(5, "a", 1.0), (5, "b", 0.0), (6, "b", 0.0), (5, "c", math.nan), (6, "a", math.inf)]
    found = charts({"seed 0": rows})
    assert [chart.title for chart in found] == ["a", "b"]
    for chart in found:
        drawn = points(chart.lines[0][2])
        assert len(set(drawn)) == 2  # something to be seen
        for x, y in drawn:
            assert chart.left <= x <= WIDTH - RIGHT
            assert TOP <= y <= HEIGHT - BOTTOM
    assert charts({}) == charts({"seed 0": []}) == []
