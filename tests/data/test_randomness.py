import math

import pytest
import torch
from scipy import stats

from stn.data.randomness import integers, normal, permutation, stream, uniform

KEY = stream(0, "test")
SAMPLES = torch.arange(20_000)


def splitmix64(key: int, index: int, column: int) -> int:
    """The definition, in Python's unbounded integers."""
    word = 2**64 - 1

    def mix(z: int) -> int:
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & word
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & word
        return z ^ (z >> 31)

    golden = 0x9E3779B97F4A7C15
    start = mix(index * golden + key & word)
    return mix(start + (column + 1) * golden & word)


def test_every_draw_is_splitmix64_of_key_index_and_column():
    index = torch.tensor([0, 1, 59_999, 2**40])
    for key in (0, 1, 2**63, 2**64 - 1, KEY):
        drawn = uniform(key, index, 5).double() * 2**24
        expected = [[splitmix64(key, int(i), c) >> 40 for c in range(5)] for i in index]
        assert drawn.tolist() == expected


def test_integers_are_the_high_word_times_the_bound():
    drawn = integers(KEY, torch.tensor([7]), [33, 60_000, 1])
    expected = [
        (splitmix64(KEY, 7, c) >> 32) * high >> 32 for c, high in enumerate([33, 60_000, 1])
    ]
    assert drawn.tolist() == [expected]


@pytest.mark.parametrize("draw", [uniform, normal])
def test_draws_do_not_depend_on_the_batch(draw):
    index = torch.arange(100)
    whole = draw(KEY, index, 9)
    order = torch.randperm(100, generator=torch.Generator().manual_seed(0))
    assert torch.equal(draw(KEY, order, 9), whole[order])
    assert torch.equal(draw(KEY, index, 4), whole[:, :4])
    for start, stop in ((0, 1), (3, 10), (57, 100)):
        assert torch.equal(draw(KEY, index[start:stop], 9), whole[start:stop])


def test_no_samples_give_no_rows():
    none = torch.empty(0, dtype=torch.int64)
    assert uniform(KEY, none, 3).shape == normal(KEY, none, 3).shape == (0, 3)


@pytest.mark.parametrize("key", [0, 1, KEY])
def test_uniform_is_uniform_in_each_column(key):
    drawn = uniform(key, SAMPLES, 8).double()
    assert drawn.min() >= 0
    assert drawn.max() < 1
    for column in drawn.T:
        assert stats.kstest(column.numpy(), "uniform").pvalue > 1e-4


def test_low_bits_of_uniform_are_uniform_too():
    low = (uniform(KEY, SAMPLES, 1).double() * 2**24).long().flatten() % 256
    assert stats.chisquare(torch.bincount(low, minlength=256).numpy()).pvalue > 1e-4


def test_integers_fill_their_ranges_evenly():
    drawn = integers(KEY, SAMPLES, [33, 7, 1])
    assert not drawn[:, 2].any()
    for column, high in ((drawn[:, 0], 33), (drawn[:, 1], 7)):
        counts = torch.bincount(column)
        assert len(counts) == high
        assert stats.chisquare(counts.numpy()).pvalue > 1e-4


def test_normal_is_normal_and_finite():
    drawn = normal(KEY, SAMPLES, 8).double()
    assert drawn.isfinite().all()
    for column in drawn.T:
        assert stats.kstest(column.numpy(), "norm").pvalue > 1e-4


def largest_correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    """The largest correlation between a column of a and one of b, in standard errors."""
    a, b = ((x - x.mean(0)) / x.std(0) for x in (a.double(), b.double()))
    return float((a.T @ b / len(a)).abs().max() * math.sqrt(len(a)))


def test_columns_neighbouring_samples_and_neighbouring_keys_are_uncorrelated():
    drawn = uniform(KEY, SAMPLES, 16)
    among_columns = torch.corrcoef(drawn.T.double()) - torch.eye(16, dtype=torch.float64)
    assert among_columns.abs().max() * math.sqrt(len(SAMPLES)) < 5
    assert largest_correlation(drawn[:-1], drawn[1:]) < 5
    for other in (KEY + 1, KEY ^ 2**63, stream(1, "test"), stream(0, "test", epoch=1)):
        assert largest_correlation(drawn, uniform(other, SAMPLES, 16)) < 5


def test_pairs_of_neighbours_fill_the_square_evenly():
    drawn = (uniform(KEY, SAMPLES, 2) * 16).long()
    for first, second in ((drawn[:, 0], drawn[:, 1]), (drawn[::2, 0], drawn[1::2, 0])):
        counts = torch.bincount(first * 16 + second, minlength=256)
        assert stats.chisquare(counts.numpy()).pvalue > 1e-4


def test_permutation_is_a_permutation_and_changes_with_its_key():
    order = permutation(KEY, 1001)
    assert torch.equal(order.sort().values, torch.arange(1001))
    assert torch.equal(order, permutation(KEY, 1001))
    assert (order == permutation(stream(0, "test", epoch=1), 1001)).float().mean() < 0.02
    assert permutation(KEY, 0).shape == (0,)


def test_permutation_puts_every_thing_everywhere():
    places = torch.stack([permutation(stream(0, "order", epoch), 6) for epoch in range(3000)])
    for thing in range(6):
        counts = (places == thing).sum(0)
        assert stats.chisquare(counts.numpy()).pvalue > 1e-4


def test_streams_are_distinct_and_fixed():
    names = [(s, p, e) for s in range(20) for p in ("train", "val", "order") for e in range(20)]
    assert len({stream(*name) for name in names}) == len(names)
    assert stream(0, "train") == stream(0, "train", epoch=0)
    # from hashlib import blake2b
    # int.from_bytes(blake2b(b"1/train/2", digest_size=8).digest(), "little")
    assert stream(1, "train", 2) == 9715071783367537828


def test_a_wrong_index_is_named():
    with pytest.raises(ValueError, match=r"\(2, 1\) torch.int64"):
        uniform(KEY, torch.zeros(2, 1, dtype=torch.int64), 1)
    with pytest.raises(ValueError, match="float32"):
        uniform(KEY, torch.zeros(2), 1)
