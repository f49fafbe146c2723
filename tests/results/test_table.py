import copy

import pytest

from stn.results.table import parse_table
from tests.results.conftest import BIRDS


def with_change(change) -> dict:
    content = copy.deepcopy(BIRDS)
    change(content)
    return content


def test_the_papers_numbers(table):
    numbers = table.paper.numbers
    assert numbers["R"]["st_cnn_tps"] == 0.7
    assert numbers["TC"]["fcn"] == 13.2
    assert "MNIST" not in numbers
    for column in ("R", "RTS", "P", "E"):
        assert numbers[column].keys() == {row.key for row in table.rows}
    assert table.paper.samples == 150_000 * 256


def test_columns_can_be_chosen(table_config):
    table = parse_table("table1", table_config | {"only": ["E", "R"]})
    assert [column.key for column in table.columns] == ["R", "E"]


def test_what_need_not_be_said(birds, study):
    simon, cnn, _ = birds.rows
    assert (simon.overrides, simon.baseline, cnn.cost) == ({}, None, 1.0)
    assert birds.paper.samples is None
    assert study.paper is None
    assert study.paper_number(study.rows[0], study.columns[0]) is None


def test_a_table_is_called_as_its_file():
    assert parse_table("birds", BIRDS).name == "birds"
    assert parse_table("birds", BIRDS | {"name": "birds"}).name == "birds"
    with pytest.raises(ValueError, match=r"^table/copy\.yaml: name: a table is called as its file"):
        parse_table("copy", BIRDS | {"name": "birds"})


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda t: t.pop("caption"), "caption: is missing"),
        (lambda t: t.update(colums=[]), "'colums': there is no such key"),
        (lambda t: t["rows"][1].update(modell="cnn"), "'rows.1.modell': there is no such key"),
        (lambda t: t.update(only=["X"]), "only: unknown column X; there are: 224px"),
        (lambda t: t.update(seeds=0), "seeds: .* found 0"),
        (lambda t: t.update(seeds=True), "seeds: .* found True"),
        (lambda t: t.update(seeds="3"), "seeds: .* found '3'"),
        (lambda t: t["rows"][1].update(cost=0), "rows.1.cost: .* found 0"),
        (lambda t: t["rows"][1].update(cost="1"), "rows.1.cost: .* found '1'"),
        (lambda t: t["columns"].append(t["columns"][0]), "columns: 224px is there twice"),
        (lambda t: t["rows"].append(t["rows"][1]), "rows: cnn is there twice"),
        (lambda t: t.update(columns=[]), "columns: "),
        (lambda t: t["rows"][2].update(baseline="fcn"), "rows.st.baseline: unknown row fcn"),
        (lambda t: t["rows"][2].update(baseline="simon"), "rows.st.baseline: unknown row simon"),
        (lambda t: t["rows"][2].update(baseline="st"), "rows.st.baseline: unknown row st"),
        (lambda t: t["rows"][2].pop("group"), "rows.st.group: is missing"),
        (
            lambda t: t["rows"][1]["overrides"].update(data="x"),
            "rows.cnn: column 224px overrides data",
        ),
        (
            lambda t: t["rows"][1]["overrides"].update({"+data": 1}),
            "rows.cnn: column 224px overrides",
        ),
        (lambda t: t["rows"][1]["overrides"].update(seed=1), "cnn.overrides: seed is chosen by"),
        (lambda t: t["columns"][0]["overrides"].update(recipe="x"), "224px.overrides: recipe is"),
        (
            lambda t: t["rows"][1]["overrides"].update({"a b": 1}),
            "rows.1.overrides.a b.* found 'a b'",
        ),
        (
            lambda t: t["rows"].append({"key": "x", "label": "x"}),
            "rows.x: has neither overrides nor",
        ),
        (lambda t: t["metric"].update(better="low"), "metric.better: .* found 'low'"),
        (lambda t: t["paper"].update(steps=9), "paper: steps and batch_size are given both"),
        (lambda t: t["paper"]["numbers"].update(X={}), "paper.numbers: unknown column X"),
        (lambda t: t["paper"]["numbers"]["224px"].update(svm=1.0), "paper: unknown row svm"),
        (
            lambda t: t["paper"]["numbers"]["224px"].update(cnn=101.0),
            "paper.numbers.224px.cnn: 101",
        ),
        (lambda t: t["paper"].update(notes=[{"column": "X", "text": ""}]), "paper.notes: unknown"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(change, line):
    with pytest.raises(ValueError, match=rf"^table/birds\.yaml: {line}") as error:
        parse_table("birds", with_change(change))
    assert "\n" not in str(error.value)
