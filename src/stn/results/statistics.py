"""Statistics over seeds, by scipy; what n does not allow is None, never a guess."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, bootstrap, trim_mean, ttest_rel

MIN_SEEDS = 3  # for an interval or a test
NUM_RESAMPLES = 9999


@dataclass(frozen=True)
class Summary:
    """Values of one cell over seeds.

    Attributes:
        sd: sample standard deviation (n - 1); None for one seed.
        interval: 95 % interval of the mean, bias-corrected and accelerated bootstrap; None below
            `MIN_SEEDS` seeds. With few seeds it is too narrow.
    """

    n: int
    mean: float
    sd: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class PairedTest:
    """A row against its baseline over the `n` seeds that both have.

    Attributes:
        difference: mean of row minus baseline; negative where the row errs less.
        p_value: two-sided paired t-test; None below `MIN_SEEDS` seeds, or if all differences
            are equal.
    """

    n: int
    difference: float
    p_value: float | None


@dataclass(frozen=True)
class Estimate:
    """A number over columns, with the 95 % interval of its stratified bootstrap over seeds."""

    value: float
    interval: tuple[float, float]


def interval_of_share(percent: float, num: int) -> tuple[float, float]:
    """Return the 95 % interval (Wilson) of a share of `num` images, all in percent.

    It says how much other images of the same kind would have changed the number, and nothing of
    other seeds.
    """
    found = binomtest(round(num * percent / 100), num).proportion_ci(method="wilson")
    return 100 * float(found.low), 100 * float(found.high)


Pairs = Sequence[tuple[Sequence[float], Sequence[float]]]  # of a column each: row and baseline


def summarise(values: Sequence[float]) -> Summary:
    """Return mean, standard deviation and interval of at least one value.

    The bootstrap draws with a fixed seed: the same values give the same interval.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("there is no value to summarise")
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    sd = float(ordered.std(ddof=1)) if n > 1 else None
    return Summary(n, float(ordered.mean()), sd, _interval(ordered) if n >= MIN_SEEDS else None)


def paired_test(row: Mapping[int, float], baseline: Mapping[int, float]) -> PairedTest | None:
    """Compare two cells, each given by seed, over their common seeds; None if they have none."""
    seeds = sorted(row.keys() & baseline.keys())
    if not seeds:
        return None
    a, b = (np.array([cell[seed] for seed in seeds]) for cell in (row, baseline))
    differences = a - b
    p_value = None
    if len(seeds) >= MIN_SEEDS and not _all_equal(differences):
        p_value = float(ttest_rel(a, b).pvalue)
    return PairedTest(len(seeds), float(differences.mean()), p_value)


def probability_of_improvement(pairs: Pairs, sign: int) -> Estimate | None:
    """How likely a run of the row is better than one of its baseline, column by column alike.

    The mean over columns of the share of all pairs of runs in which the row's is better, ties by
    half (Agarwal et al., Deep RL at the Edge of the Statistical Precipice, 2021).

    Args:
        pairs: values of the row and of the baseline over their seeds.
        sign: 1 where low is good, -1 where high is.

    Returns:
        None where there is no column, or one has fewer than `MIN_SEEDS` seeds.
    """

    def better(*samples: np.ndarray) -> np.ndarray:  # (..., n) each
        shares = []
        for row, baseline in zip(samples[::2], samples[1::2], strict=True):
            gain = sign * (baseline[..., None, :] - row[..., :, None])
            shares.append(((gain > 0) + 0.5 * (gain == 0)).mean(axis=(-2, -1)))
        return np.mean(shares, axis=0)

    return _estimate(pairs, better)


def relative_to_baseline(pairs: Pairs) -> Estimate | None:
    """The interquartile mean of the row's values, each relative to the baseline's mean there.

    It is over all columns and seeds at once, and leaves out the best and the worst quarter. The
    arguments and None are as in `probability_of_improvement`.
    """

    def ratio(*samples: np.ndarray) -> np.ndarray:
        ratios = [
            row / baseline.mean(axis=-1, keepdims=True)
            for row, baseline in zip(samples[::2], samples[1::2], strict=True)
        ]
        return trim_mean(np.concatenate(ratios, axis=-1), 0.25, axis=-1)

    return _estimate(pairs, ratio)


def _estimate(pairs: Pairs, statistic: Callable[..., np.ndarray]) -> Estimate | None:
    samples = [np.sort(np.asarray(values, dtype=np.float64)) for pair in pairs for values in pair]
    if not samples or min(map(len, samples)) < MIN_SEEDS:
        return None
    found = bootstrap(
        samples,
        lambda *drawn, axis: statistic(*drawn),  # the samples lie along the last axis, as here
        n_resamples=NUM_RESAMPLES,
        batch=1000,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Estimate(float(statistic(*samples)), (float(found.low), float(found.high)))


def _interval(ordered: np.ndarray) -> tuple[float, float]:
    if _all_equal(ordered):  # the bootstrap has nothing to draw from
        return float(ordered[0]), float(ordered[-1])
    random = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = bootstrap(
            (ordered,), np.mean, n_resamples=NUM_RESAMPLES, method="BCa", rng=random
        ).confidence_interval
    low, high = float(found.low), float(found.high)
    if not np.isfinite([low, high]).all():
        raise ArithmeticError(f"no bootstrap interval for {ordered.tolist()}")
    return low, high


def _all_equal(values: np.ndarray) -> bool:
    """Equal up to what is left of adding and subtracting percentages."""
    return bool(np.ptp(values) < 1e-9)
