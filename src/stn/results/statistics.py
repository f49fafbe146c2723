"""Statistics over seeds, by scipy; what n does not allow is None, never a guess."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap, ttest_rel

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
