from dataclasses import replace

import pytest

from stn.results.comparison import compare
from stn.results.cost_figure import MIN_SHARE, draw_costs, minutes
from stn.results.records import Record
from stn.results.table import TableSpec
from tests.results.conftest import CODE


def labels(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_one_panel_a_column_that_has_numbers(spec: TableSpec, table_records: list[Record]) -> None:
    figure = draw_costs([compare(spec, table_records, "quick", CODE)], ["RTS", "R", "nowhere"])
    assert [axes.get_title().split()[0] for axes in figure.axes] == ["R", "RTS"]
    assert labels(figure) == [*(row.label for row in spec.rows), "quick", "the paper"]


def test_dots_stand_at_cost_and_error_and_stars_at_the_papers(
    spec: TableSpec, table_records: list[Record]
) -> None:
    records = [replace(r, cpu_s=60.0) for r in table_records if r.model == "cnn"]
    comparison = compare(spec, records, "quick", CODE)
    cell = comparison.cell("cnn", "R")
    (axes,) = draw_costs([comparison], ["R"]).axes
    points = {
        line.get_marker(): line.get_xydata()[0] for line in axes.lines if len(line.get_xydata())
    }
    assert points["o"] == pytest.approx([1.0, cell.ours.mean])
    assert points["*"] == pytest.approx([1.0 / cell.share, 1.2])


def test_time_is_the_mean_of_processor_times_where_runs_tell_them(
    spec: TableSpec, make_record
) -> None:
    first = make_record(wall_s=600.0)
    second = make_record(seed=1, run_id="cnn-mnist_r-s1-quick-0123456789", cpu_s=120.0)
    assert minutes(compare(spec, [first], "quick", CODE).cell("cnn", "R")) == 10
    assert minutes(compare(spec, [first, second], "quick", CODE).cell("cnn", "R")) == 6


def test_nothing_to_draw(spec: TableSpec, make_record) -> None:
    assert draw_costs([], ["R"]) is None
    assert draw_costs([compare(spec, [], "quick", CODE)], ["R"]) is None
    tiny = make_record(samples=int(MIN_SHARE * 150_000 * 256 / 2))
    assert draw_costs([compare(spec, [tiny], "quick", CODE)], ["R"]) is None
