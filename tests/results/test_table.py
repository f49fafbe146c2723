from collections import Counter

import pytest

from stn.results.table import cells, parse_table


def test_every_cell_once_per_seed(table_config):
    planned = cells(table_config, seeds=2)
    assert set(Counter((c.row, c.column, c.seed) for c in planned).values()) == {1}
    assert len(planned) == 2 * len(table_config["rows"]) * len(table_config["columns"])


def test_overrides_name_the_cell(table_config):
    planned = {(c.row, c.column): c.overrides for c in cells(table_config)}
    assert planned["cnn", "RTS"] == {"model": "cnn", "data": "mnist_rts", "seed": 0}
    assert planned["st_fcn_tps", "MNIST"] == {
        "model": "st_fcn",
        "transform": "tps",
        "data": "mnist",
        "seed": 0,
    }


def test_cheapest_and_most_telling_first(table_config):
    planned = cells(table_config, seeds=2)
    first = planned[:16]
    assert {c.row for c in first} == {"fcn", "cnn", "st_fcn_affine", "st_cnn_affine"}
    assert {c.column for c in first} == {"R", "RTS", "P", "E"}
    assert [c.row for c in planned[:4]] == ["fcn", "st_fcn_affine", "cnn", "st_cnn_affine"]
    assert [c.seed for c in planned] == sorted(c.seed for c in planned)


def test_columns_and_seeds_can_be_chosen(table_config):
    assert {c.column for c in cells(table_config, columns=["RTS", "R"])} == {"R", "RTS"}
    chosen = cells(table_config | {"only": ["E"], "seeds": 3})
    assert {c.column for c in chosen} == {"E"}
    assert {c.seed for c in chosen} == {0, 1, 2}


def test_unknown_column_lists_the_known(table_config):
    with pytest.raises(ValueError, match="unknown column X; there are: R, RTS, P, E, TC, MNIST"):
        cells(table_config, columns=["R", "X"])
    with pytest.raises(ValueError, match="unknown column mnist_r; there are: R, RTS"):
        parse_table(table_config | {"only": ["mnist_r"]})


@pytest.mark.parametrize("seeds", [0, -1, 1.5, True, "3"])
def test_seeds_are_a_whole_number(table_config, seeds):
    with pytest.raises(ValueError, match="seeds must be"):
        cells(table_config, seeds=seeds)


def test_damaged_table_is_refused(table_config):
    with pytest.raises(ValueError, match="the table lacks caption"):
        parse_table({k: v for k, v in table_config.items() if k != "caption"})
    with pytest.raises(ValueError, match="unknown key of the table colums"):
        parse_table(table_config | {"colums": []})
    with pytest.raises(ValueError, match="the order must name each of the rows once"):
        parse_table(table_config | {"order": table_config["order"] | {"rows": [["cnn"]]}})
    numbers = {"numbers": {"R": {"svm": 1.0}}}
    with pytest.raises(ValueError, match="unknown row svm"):
        parse_table(table_config | {"paper": table_config["paper"] | numbers})


def test_the_papers_numbers(spec):
    numbers = spec.paper.numbers
    assert numbers["R"]["st_cnn_tps"] == 0.7
    assert numbers["TC"]["fcn"] == 13.2
    assert "MNIST" not in numbers
    for column in ("R", "RTS", "P", "E"):
        assert numbers[column].keys() == {row.key for row in spec.rows}
    assert spec.paper.samples == 150_000 * 256
