"""Numbers of many images in words: their mean, and how sure it is."""

from scipy import stats
from torch import Tensor

from stn.results.statistics import interval_of_share


def mean(values: Tensor) -> str:
    """Write a mean and its 95 % interval; of nothing, a dash."""
    if len(values) < 2:
        return "–"
    error = stats.t.ppf(0.975, len(values) - 1) * float(values.std()) / len(values) ** 0.5
    return f"{values.mean():.2f} ± {error:.2f}"


def share(is_so: Tensor) -> str:
    """Write how many of some images, in percent, and the 95 % interval (Wilson)."""
    if not len(is_so):
        return "–"
    percent = 100 * float(is_so.float().mean())
    low, high = interval_of_share(percent, len(is_so))
    return f"{percent:.1f} ({low:.1f} to {high:.1f})"
