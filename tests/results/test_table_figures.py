import pytest

from stn.results.table_figures import (
    MIN_SHARE,
    draw_aggregates,
    draw_costs,
    minutes,
    shows_something,
)
from tests.results.conftest import changed, comparison_of


def labels(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_one_panel_a_column_that_has_numbers(table, table_records):
    figure = draw_costs([comparison_of(table, table_records)], ["RTS", "R", "nowhere"])
    assert [axes.get_title().split()[0] for axes in figure.axes] == ["R", "RTS"]
    assert labels(figure) == [*(row.label for row in table.rows), "quick", "the paper"]


def test_dots_stand_at_cost_and_error_and_stars_at_the_papers(table, table_records):
    records = [changed(r, cpu_s=60.0) for r in table_records if r.model == "cnn"]
    comparison = comparison_of(table, records)
    cell = comparison.cell("cnn", "R")
    (axes,) = draw_costs([comparison], ["R"]).axes
    points = {
        line.get_marker(): line.get_xydata()[0] for line in axes.lines if len(line.get_xydata())
    }
    assert points["o"] == pytest.approx([1.0, cell.ours.mean])
    assert points["*"] == pytest.approx([1.0 / cell.share, 1.2])


def test_time_is_the_mean_of_processor_times_where_runs_tell_them(table, make_record):
    first, second = make_record(wall_s=600.0), make_record(seed=1, cpu_s=120.0)
    assert minutes(comparison_of(table, [first]).cell("cnn", "R")) == 10
    assert minutes(comparison_of(table, [first, second]).cell("cnn", "R")) == 6


def test_nothing_to_draw(table, make_record):
    assert draw_costs([comparison_of(table, [])], ["R"]) is None
    tiny = make_record(steps=int(MIN_SHARE * 150_000 / 2))
    assert not shows_something(tiny, table)
    assert draw_costs([comparison_of(table, [tiny])], ["R"]) is None


def test_a_table_without_a_budget_of_the_papers(birds, study, make_record):
    tiny = {"steps": 1}
    record = make_record(metrics={"test_accuracy_percent": 82.0}, **tiny)
    assert shows_something(record, birds)
    figure = draw_costs([comparison_of(birds, [record])], ["224px"])
    assert labels(figure) == ["CNN", "2xST-CNN", "quick"]
    assert figure.axes[0].get_yscale() == "linear"
    assert figure.axes[0].get_ylabel() == "accuracy (%)"
    figure = draw_costs([comparison_of(study, [make_record(**tiny)])], ["R"])
    assert figure.axes[0].get_yscale() == "log"


@pytest.mark.parametrize("columns", [["R"], ["R", "RTS", "P"]])
def test_the_note_is_inside_of_the_picture(table, table_records, columns):
    figure = draw_costs([comparison_of(table, table_records)], columns)
    figure.draw_without_rendering()
    box, whole = figure._supxlabel.get_window_extent(), figure.bbox
    assert whole.x0 <= box.x0 < box.x1 <= whole.x1
    assert "150,000 steps of 256 samples" in " ".join(figure.get_supxlabel().split())


def test_each_row_has_its_points_and_intervals(table, table_records):
    comparison = comparison_of(table, table_records)
    left, right = draw_aggregates(comparison).axes
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert labels == [f"{a.row.label} against {a.baseline.label}" for a in comparison.aggregates]
    for axes, name in ((left, "improvement"), (right, "relative")):
        estimates = [getattr(a, name) for a in comparison.aggregates]
        points = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
        spans = [tuple(line.get_xdata()) for line in axes.lines if line.get_linewidth() == 5]
        assert points == [estimate.value for estimate in estimates]
        assert spans == [estimate.interval for estimate in estimates]


def test_nothing_to_draw_with_too_few_seeds(table, table_records):
    assert draw_aggregates(comparison_of(table, table_records[:1])) is None
