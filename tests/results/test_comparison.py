import random

import pytest

from stn.results.table import parse_table
from tests.results.conftest import STUDY, comparison_of


def test_empty_table_has_no_number_of_ours(table):
    comparison = comparison_of(table, [])
    assert len(comparison.cells) == 48
    assert {cell.status for cell in comparison.cells} == {"missing"}
    assert all(cell.ours is None and cell.difference is None for cell in comparison.cells)
    assert all(claim.best is None for claim in comparison.claims)


def test_full_table(table, table_records):
    comparison = comparison_of(table, table_records)
    assert {cell.status for cell in comparison.cells} == {"finished"}
    cell = comparison.cell("st_cnn_tps", "E")
    errors = [
        record.metrics["test_error_percent"]
        for record in table_records
        if (record.model, record.transform, record.data) == ("st_cnn", "tps", "mnist_e")
    ]
    assert cell.ours.n == 3
    assert cell.ours.mean == pytest.approx(sum(errors) / 3)
    assert cell.difference == pytest.approx(sum(errors) / 3 - 1.1)
    assert cell.test.difference == pytest.approx(
        cell.ours.mean - comparison.cell("cnn", "E").ours.mean, abs=1e-9
    )
    assert comparison.cell("cnn", "E").test is None
    assert comparison.cell("cnn", "MNIST").difference is None


def test_order_of_records_does_not_matter(table, table_records):
    shuffled = random.Random(0).sample(table_records, len(table_records))
    assert comparison_of(table, shuffled) == comparison_of(table, table_records)


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_run_without_result(table, make_record, status):
    cell = comparison_of(table, [make_record(status=status)]).cell("cnn", "R")
    assert cell.status == status
    assert cell.ours is None


def test_fewer_seeds_than_wanted(table_config, make_record):
    table = parse_table("table1", table_config | {"seeds": 3})
    records = [make_record(seed=0), make_record(seed=1), make_record(seed=2, status="diverged")]
    cell = comparison_of(table, records).cell("cnn", "R")
    assert (cell.status, cell.ours.n, cell.num_wanted) == ("incomplete", 2, 3)


def test_cell_with_fewer_seeds_than_its_column(table, make_record):
    records = [make_record(seed=0), make_record(seed=1), make_record(seed=0, model="fcn")]
    comparison = comparison_of(table, records)
    assert comparison.cell("cnn", "R").status == "finished"
    assert comparison.cell("fcn", "R").status == "incomplete"


def test_budget(table, birds, make_record):
    share = comparison_of(table, [make_record(steps=1500)]).cell("cnn", "R")
    assert share.share == pytest.approx(0.01)
    assert share.is_short
    assert not comparison_of(table, [make_record(steps=150_000)]).cell("cnn", "R").is_short
    record = make_record(metrics={"test_accuracy_percent": 82.0})
    cell = comparison_of(birds, [record]).cell("cnn", "224px")
    assert (cell.ours.mean, cell.share, cell.is_short) == (82.0, None, False)


def test_code_that_may_give_another_result_is_marked(table, make_record):
    records = [
        make_record(git_sha="dead" * 10),
        make_record(data="mnist_e", code="dead" * 3, git_dirty=True),
        make_record(data="mnist_p", code=None),
    ]
    comparison = comparison_of(table, records)
    assert not comparison.cell("cnn", "R").other_code  # another commit of the same code
    assert not comparison.cell("cnn", "R").uncommitted
    assert comparison.cell("cnn", "E").other_code
    assert comparison.cell("cnn", "E").uncommitted
    assert comparison.cell("cnn", "P").other_code  # it does not tell


def test_whether_code_is_current_is_asked_with_the_configuration_of_the_cell(table, make_record):
    asked = []
    comparison_of(table, [make_record()], is_current=lambda *about: bool(asked.append(about)))
    assert asked == [(make_record().code, {})]


def test_records_of_other_ids_are_counted_and_not_in_the_table(table, make_record):
    records = [
        make_record(recipe="smoke"),
        make_record(run_id="cnn-mnist_r-quick-s0-fedcba9876"),  # such as with other settings
        make_record(data="svhn"),
        make_record(model="st_cnn", transform="rotation"),
    ]
    comparison = comparison_of(table, records)
    assert comparison.records == ()
    assert comparison.others == {"quick": 3, "smoke": 1}


def test_a_study_shares_the_runs_of_a_table(table, study, make_record):
    shared = make_record(1.5)
    own = make_record(2.5, run_id="cnn-mnist_r-recipe.optimizer.lr_0.0001-quick-s0-0123456789")
    assert comparison_of(table, [shared, own]).cell("cnn", "R").records == (shared,)
    comparison = comparison_of(study, [shared, own])
    assert comparison.cell("plain", "R").records == (shared,)
    assert comparison.cell("slow", "R").records == (own,)
    assert comparison.claims == ()
    assert comparison.others == {}


def test_a_run_that_two_rows_share_is_one_run(make_record):
    same = parse_table("same", STUDY | {"rows": [STUDY["rows"][0] | {"key": k} for k in "ab"]})
    comparison = comparison_of(same, [make_record()])
    assert comparison.records == (make_record(),)
    assert comparison.cell("a", "R").ours == comparison.cell("b", "R").ours


def test_a_run_without_the_metric_of_the_table_is_no_number(birds, make_record):
    cell = comparison_of(birds, [make_record()]).cell("cnn", "224px")
    assert (cell.ours, cell.status, cell.finished) == (None, "unmeasured", ())


def test_the_mean_over_rows_is_over_the_seeds_that_all_rows_have(make_record):
    rows = [STUDY["rows"][0] | {"key": "paper", "overrides": {}}, *STUDY["rows"]]
    paper = {"source": "a paper", "numbers": {"R": {"paper": 50.0}}}
    study = parse_table("study", STUDY | {"rows": rows, "paper": paper})
    (column,) = study.columns
    slow = "cnn-mnist_r-recipe.optimizer.lr_0.0001-quick-s{}-0123456789"
    records = [make_record(1.0 + seed, seed=seed) for seed in range(3)]
    assert comparison_of(study, records).mean(column) is None
    records += [make_record(5.0, seed=seed, run_id=slow.format(seed)) for seed in (0, 2)]
    found = comparison_of(study, records).mean(column)
    assert (found.n, found.mean) == (2, pytest.approx((3.0 + 4.0) / 2))
    assert found.sd == pytest.approx(0.5**0.5)


def test_claims_take_the_best_of_a_group(table, make_record):
    st_cnn = {"model": "st_cnn"}
    records = [
        make_record(1.5),
        make_record(1.2, **st_cnn, transform="affine"),
        make_record(0.9, **st_cnn, transform="tps"),
        make_record(**st_cnn, transform="projective", status="failed"),
    ]
    comparison = comparison_of(table, records)
    (claim,) = [c for c in comparison.claims if (c.column.key, c.group) == ("R", "ST-CNN")]
    assert claim.best.row.key == "st_cnn_tps"
    assert claim.num_candidates == 2
    assert claim.best.test.difference == pytest.approx(-0.6)
    assert claim.best.verdict == "better"
    assert len(comparison.claims) == 12
    best = [c.row.key for c in comparison.cells if comparison.is_best(c)]
    assert best == ["st_cnn_tps"]
    assert not comparison.cell("cnn", "R").reaches_paper
    assert comparison.cell("st_cnn_affine", "R").reaches_paper is False


@pytest.mark.parametrize(("cnn", "st", "verdict"), [(82, 84, "better"), (84, 82, "worse")])
def test_high_is_good_where_the_table_says_so(birds, make_record, cnn, st, verdict):
    fields = [{}, {"model": "st_cnn", "transform": "translation"}]
    comparison = comparison_of(
        birds,
        [
            make_record(metrics={"test_accuracy_percent": float(value)}, **f)
            for value, f in zip((cnn, st), fields, strict=True)
        ],
    )
    (claim,) = comparison.claims
    assert (claim.best.row.key, claim.best.verdict) == ("st", verdict)
    (best,) = [c.row.key for c in comparison.cells if comparison.is_best(c)]
    assert best == ("st" if st > cnn else "cnn")
    assert comparison.cell("st", "224px").reaches_paper is (st > 83)
    assert comparison.cell("simon", "224px").status == "paper only"


def test_what_the_paper_prints_is_reached_to_half_a_digit(table, make_record):
    def reaches(error: float) -> bool | None:
        return comparison_of(table, [make_record(error)]).cell("cnn", "R").reaches_paper

    assert [reaches(error) for error in (0.5, 1.2, 1.25, 1.26)] == [True, True, True, False]
    mnist = comparison_of(table, [make_record(data="mnist")]).cell("cnn", "MNIST")
    assert mnist.reaches_paper is None


def test_aggregates_are_over_the_columns_in_which_both_have_three_seeds(table, table_records):
    assert not comparison_of(table, [r for r in table_records if r.seed < 2]).aggregates
    assert not comparison_of(table, [r for r in table_records if r.data == "mnist_r"]).aggregates
    kept = [r for r in table_records if (r.model, r.data, r.seed) != ("cnn", "mnist_e", 1)]
    by_row = {a.row.key: a for a in comparison_of(table, kept).aggregates}
    assert by_row.keys() == {row.key for row in table.rows if row.baseline}
    assert by_row["st_fcn_tps"].columns == ("R", "RTS", "P", "E", "TC", "MNIST")
    assert by_row["st_cnn_tps"].columns == ("R", "RTS", "P", "TC", "MNIST")
    assert by_row["st_cnn_tps"].baseline.key == "cnn"
