import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu, ttest_rel

from stn.results.statistics import (
    interval_of_share,
    paired_test,
    probability_of_improvement,
    relative_to_baseline,
    summarise,
)

errors = st.lists(st.floats(0, 100).map(lambda v: round(v, 2)), min_size=1, max_size=6)


@given(values=errors)
def test_summary_of_any_values(values):
    summary = summarise(values)
    assert summary.n == len(values)
    assert summary.mean == pytest.approx(np.mean(values))
    assert (summary.sd is None) == (len(values) < 2)
    assert (summary.interval is None) == (len(values) < 3)
    if summary.interval is not None:
        low, high = summary.interval
        assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9


def test_sd_divides_by_n_minus_one():
    assert summarise([1.0, 3.0]).sd == pytest.approx(2**0.5)


def test_order_does_not_matter():
    assert summarise([1.0, 2.5, 4.0, 1.5]) == summarise([4.0, 1.5, 2.5, 1.0])


def test_equal_values_have_no_spread():
    summary = summarise([0.7, 0.7, 0.7])
    assert summary.interval == (0.7, 0.7)
    assert summary.sd == pytest.approx(0, abs=1e-12)


def test_nothing_to_summarise():
    with pytest.raises(ValueError, match="no value"):
        summarise([])


def test_interval_covers_the_mean_about_as_often_as_it_says():
    random = np.random.default_rng(0)
    draws = random.normal(5, 1, (120, 30))
    intervals = [summarise(row.tolist()).interval for row in draws]
    covered = sum(low <= 5 <= high for low, high in intervals)
    assert 0.88 <= covered / 120 <= 0.99


def test_pairs_are_the_common_seeds():
    test = paired_test({0: 1.0, 1: 1.2, 2: 0.7, 7: 90.0}, {2: 1.5, 1: 1.4, 0: 1.5, 9: 0.0})
    assert test.n == 3
    assert test.difference == pytest.approx((1.0 - 1.5 + 1.2 - 1.4 + 0.7 - 1.5) / 3)
    assert test.p_value == pytest.approx(ttest_rel([1.0, 1.2, 0.7], [1.5, 1.4, 1.5]).pvalue)


def test_no_p_value_where_none_can_be_had():
    assert paired_test({0: 1.0}, {1: 1.0}) is None
    assert paired_test({0: 1.0, 1: 2.0}, {0: 1.5, 1: 2.0}).p_value is None
    same = paired_test({0: 1.1, 1: 2.2, 2: 3.3}, {0: 1.0, 1: 2.1, 2: 3.2})
    assert same.p_value is None
    assert same.difference == pytest.approx(0.1)


seeds = st.lists(st.sampled_from([0.5, 0.7, 1.0, 1.4]), min_size=3, max_size=5)


@given(
    pairs=st.lists(st.tuples(seeds, seeds), min_size=1, max_size=3), sign=st.sampled_from([1, -1])
)
def test_the_probability_of_improvement_is_the_mean_of_the_u_statistics(pairs, sign):
    shares = [
        mannwhitneyu(sign * np.array(baseline), sign * np.array(row)).statistic
        / (len(row) * len(baseline))
        for row, baseline in pairs
    ]
    found = probability_of_improvement(pairs, sign)
    assert found.value == pytest.approx(np.mean(shares))
    assert 0 <= found.interval[0] <= found.interval[1] <= 1


def test_a_row_that_always_wins():
    pairs = [([1.0, 1.1, 1.2], [2.0, 2.1, 2.2]), ([5.0, 6.0, 7.0], [9.0, 8.0, 10.0])]
    found = probability_of_improvement(pairs, 1)
    assert (found.value, found.interval) == (1.0, (1.0, 1.0))
    found = relative_to_baseline(pairs)
    low, high = found.interval
    assert 1.0 / 2.2 < low < found.value < high < 7.0 / 8.0


def test_the_relative_value_is_that_of_the_middle_half():
    row = [0.1, 1.0, 1.0, 50.0]  # relative to 2: 0.05, 0.5, 0.5, 25
    assert relative_to_baseline([(row, [2.0, 2.0, 2.0])]).value == pytest.approx(0.5)


@pytest.mark.parametrize("pairs", [[], [([1.0, 2.0], [1.0, 2.0, 3.0])]])
def test_too_few_seeds_tell_nothing_over_columns(pairs):
    assert probability_of_improvement(pairs, 1) is None
    assert relative_to_baseline(pairs) is None


@pytest.mark.parametrize(("percent", "num"), [(0.0, 7), (33.4, 9), (50.0, 1090), (100.0, 5)])
def test_the_interval_of_a_share_is_wilsons(percent: float, num: int) -> None:
    p, z = round(percent * num / 100) / num, 1.959963984540054
    centre = (p + z**2 / (2 * num)) / (1 + z**2 / num)
    half = z / (1 + z**2 / num) * (p * (1 - p) / num + z**2 / (4 * num**2)) ** 0.5
    wanted = (100 * (centre - half), 100 * (centre + half))
    assert interval_of_share(percent, num) == pytest.approx(wanted)
