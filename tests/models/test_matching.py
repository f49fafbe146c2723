from functools import partial

import pytest
from torch import nn

from stn.models.matching import matched, num_parameters
from stn.models.mnist import Fcn


def test_what_is_not_trained_is_not_counted() -> None:
    network = nn.Linear(3, 4)
    assert num_parameters(network) == 16
    network.bias.requires_grad_(False)
    assert num_parameters(network) == 12


def test_the_nearest_width_is_found_and_a_given_one_taken() -> None:
    build = partial(Fcn, (1, 28, 28), 10)
    counts = {width: num_parameters(build(width=width)) for width in range(120, 140)}
    nearest = min(counts, key=lambda width: abs(counts[width] - 119_000))
    assert num_parameters(matched(build, 119_000)) == counts[nearest]
    assert num_parameters(matched(build, 119_000, width=133)) == counts[133]


def test_too_small_a_budget_is_refused() -> None:
    with pytest.raises(ValueError, match="budget of 10 parameters"):
        matched(partial(Fcn, (1, 28, 28), 10), 10)
