from stn.results.aggregate_figure import draw_aggregates
from tests.results.conftest import comparison_of


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
