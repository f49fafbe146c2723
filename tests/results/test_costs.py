import pytest

from stn.results.costs import commit, core_s, costs, cpu_s, hours_for


def test_costs_of_nothing():
    nothing = costs([])
    assert (nothing["num_runs"], nothing["wall_s"], nothing["samples"]) == (0, 0, 0)
    assert (
        nothing["cpu_s"] is nothing["peak_rss_mib"] is nothing["first"] is nothing["last"] is None
    )


def test_costs_add_up_over_every_run_that_was_paid_for(make_record):
    runs = [
        make_record(wall_s=60.0, steps=1, batch_size=100, peak_rss_mib=500.0),
        make_record(seed=1, wall_s=30.0, samples=50, peak_rss_mib=None, status="diverged"),
        make_record(seed=2, wall_s=10.0, samples=0, peak_rss_mib=700.0, status="failed"),
    ]
    total = costs(runs)
    assert (total["num_runs"], total["wall_s"], total["samples"]) == (3, 100.0, 150)
    assert total["peak_rss_mib"] == 700.0


def test_the_order_of_runs_changes_nothing(make_record):
    runs = [make_record(seed=s, wall_s=0.1 * s, git_sha=c * 40) for s, c in enumerate("abba")]
    assert costs(runs) == costs(runs[::-1])


def test_first_and_last_are_of_all_runs(make_record):
    late = make_record(
        seed=1,
        started_at="2015-06-05T20:00:00+00:00",
        finished_at="2015-06-06T01:00:00+00:00",
        wall_s=5 * 3600.0,
    )
    early = make_record(finished_at="2015-06-05T23:59:59+00:00", wall_s=12 * 3600.0)
    total = costs([late, early])
    assert (total["first"], total["last"]) == ("2015-06-05 12:00", "2015-06-06 01:00")


@pytest.mark.parametrize(
    ("told", "expected"), [([], None), ([1.0, 2.0], 3.0), ([1.0, None], None), ([None], None)]
)
def test_processor_time_is_known_if_every_run_tells_it(make_record, told, expected):
    assert cpu_s([make_record(seed=i, cpu_s=s) for i, s in enumerate(told)]) == expected


def test_a_core_was_taken_for_the_processor_time_or_else_for_the_wall_time(make_record):
    assert core_s(make_record(wall_s=60.0, cpu_s=20.0)) == 20.0
    assert core_s(make_record(wall_s=60.0)) == 60.0


def test_the_commonest_commit_comes_first_and_differences_are_marked(make_record):
    dirty = make_record(git_sha="d" * 40, git_dirty=True)
    assert commit(dirty) == "ddddddd+"
    clean = [make_record(seed=s, git_sha="c" * 40) for s in (1, 2)]
    assert costs([dirty, *clean])["made_of"]["commit (+: with changes)"] == [
        ("ccccccc", 2),
        ("ddddddd+", 1),
    ]


def test_hours_for_samples_are_those_of_training_steps_on_one_core(make_record):
    fields = {"steps": 10, "wall_s": 100.0}
    record = make_record(step_ms=25.6, batch_size=256, **fields)  # 0.1 ms a sample
    shared = make_record(step_ms=51.2, batch_size=256, **fields, cpu_s=50.0)
    half = make_record(step_ms=12.8, batch_size=128, **fields)
    for run in (record, shared, half):
        assert hours_for(36_000_000, run) == pytest.approx(1.0)
    assert hours_for(1, make_record(step_ms=None)) is hours_for(1, make_record(wall_s=0.0)) is None
