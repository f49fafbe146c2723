import random

import pytest

from stn.results.comparison import compare
from stn.results.table import parse_table
from tests.results.conftest import CODE


def test_empty_table_has_no_number_of_ours(spec):
    table = compare(spec, [], "quick", CODE)
    assert len(table.cells) == 48
    assert {cell.status for cell in table.cells} == {"missing"}
    assert all(cell.ours is None and cell.difference is None for cell in table.cells)
    assert all(claim.difference is None for claim in table.claims)


def test_full_table(spec, table_records):
    table = compare(spec, table_records, "quick", CODE)
    assert {cell.status for cell in table.cells} == {"finished"}
    cell = table.cell("st_cnn_tps", "E")
    errors = [
        record.test_error_percent
        for record in table_records
        if (record.model, record.transform, record.data) == ("st_cnn", "tps", "mnist_e")
    ]
    assert cell.ours.n == 3
    assert cell.ours.mean == pytest.approx(sum(errors) / 3)
    assert cell.difference == pytest.approx(sum(errors) / 3 - 1.1)
    assert cell.test.difference == pytest.approx(
        cell.ours.mean - table.cell("cnn", "E").ours.mean, abs=1e-9
    )
    assert table.cell("cnn", "E").test is None
    assert table.cell("cnn", "MNIST").difference is None


def test_order_of_records_does_not_matter(spec, table_records):
    shuffled = random.Random(0).sample(table_records, len(table_records))
    assert compare(spec, shuffled, "quick", CODE) == compare(spec, table_records, "quick", CODE)


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_run_without_result(spec, make_record, status):
    cell = compare(spec, [make_record(status=status)], "quick", CODE).cell("cnn", "R")
    assert cell.status == status
    assert cell.ours is None


def test_fewer_seeds_than_wanted(table_config, make_record):
    spec = parse_table(table_config | {"seeds": 3})
    records = [make_record(seed=0), make_record(seed=1), make_record(seed=2, status="diverged")]
    cell = compare(spec, records, "quick", CODE).cell("cnn", "R")
    assert (cell.status, cell.ours.n, cell.num_wanted) == ("incomplete", 2, 3)


def test_cell_with_fewer_seeds_than_its_column(spec, make_record):
    records = [make_record(seed=0), make_record(seed=1), make_record(seed=0, model="fcn")]
    table = compare(spec, records, "quick", CODE)
    assert table.cell("cnn", "R").status == "finished"
    assert table.cell("fcn", "R").status == "incomplete"


def test_budget(spec, make_record):
    share = compare(spec, [make_record(samples=384_000)], "quick", CODE).cell("cnn", "R")
    assert share.share == pytest.approx(0.01)
    assert share.is_short
    full = compare(spec, [make_record(samples=38_400_000)], "quick", CODE).cell("cnn", "R")
    assert not full.is_short


def test_code_that_did_not_render_the_table_is_marked(spec, make_record):
    records = [
        make_record(git_sha="dead" * 10),
        make_record(data="mnist_e", code="dead" * 3, git_dirty=True),
        make_record(data="mnist_p", code=None),
    ]
    table = compare(spec, records, "quick", CODE)
    assert not table.cell("cnn", "R").other_code  # another commit of the same code
    assert not table.cell("cnn", "R").uncommitted
    assert table.cell("cnn", "E").other_code
    assert table.cell("cnn", "E").uncommitted
    assert table.cell("cnn", "P").other_code  # it does not tell


def test_experiments_and_other_recipes_are_left_out(spec, make_record):
    records = [
        make_record(recipe="smoke"),
        make_record(table=None, overrides=("recipe.lr=1",)),
        make_record(data="svhn"),
        make_record(model="st_cnn", transform="rotation"),
    ]
    assert compare(spec, records, "quick", CODE).records == ()


def test_runs_by_hand_and_with_the_tables_own_settings_count(spec, make_record):
    by_hand = make_record(table=None)
    own = make_record(seed=1, overrides=("recipe.lr=1",))
    cell = compare(spec, [by_hand, own], "quick", CODE).cell("cnn", "R")
    assert cell.records == (by_hand, own)
    assert cell.other_settings


def test_a_run_of_another_configuration_than_todays_is_marked(spec, make_record):
    same, other = make_record(), make_record(data="mnist_e")

    def today(row, column, seed):
        return {"R": same.run_id, "E": "cnn-mnist_e-quick-s0-fedcba9876"}[column.key]

    table = compare(spec, [same, other], "quick", CODE, today)
    assert not table.cell("cnn", "R").other_settings
    assert table.cell("cnn", "E").other_settings
    unchecked = compare(spec, [same, other], "quick", CODE)
    assert not unchecked.cell("cnn", "E").other_settings


def test_a_network_without_transformer_fits_whatever_transform_was_configured(spec, make_record):
    assert compare(spec, [make_record(transform="affine")], "quick", CODE).cell("cnn", "R").ours


def test_newest_of_several_runs_counts_and_is_remarked(spec, make_record):
    old = make_record(run_id="z-1", finished_at="2015-06-05T12:30:00Z")
    new = make_record(run_id="a-2", finished_at="2015-06-05T12:31:00+00:00", test_error_percent=9.0)
    for records in ([old, new], [new, old]):
        table = compare(spec, records, "quick", CODE)
        assert table.cell("cnn", "R").records == (new,)
        assert "CNN on R, seed 0: 2 runs" in table.remarks[0]


def test_claims_take_the_best_of_a_group(spec, make_record):
    st_cnn = {"model": "st_cnn"}
    records = [
        make_record(test_error_percent=1.5),
        make_record(**st_cnn, transform="affine", test_error_percent=1.2),
        make_record(**st_cnn, transform="tps", test_error_percent=0.9),
        make_record(**st_cnn, transform="projective", status="failed"),
    ]
    claims = compare(spec, records, "quick", CODE).claims
    (claim,) = [c for c in claims if (c.column.key, c.group) == ("R", "ST-CNN")]
    assert claim.best.row.key == "st_cnn_tps"
    assert claim.num_candidates == 2
    assert claim.difference == pytest.approx(-0.6)
    assert len(claims) == 12
