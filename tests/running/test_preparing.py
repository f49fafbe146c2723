from collections.abc import Callable

import pytest
from torch import nn

from stn.running.preparing import Cell, build_task

MakeCell = Callable[..., Cell]


@pytest.mark.parametrize("fast", [True, False])
def test_a_network_is_fast_where_the_configuration_says_so(make_cell: MakeCell, fast: bool) -> None:
    network = build_task(make_cell("model=cnn", f"trainer.fast={fast}")).network
    assert (type(network.layers) is nn.Sequential) is not fast
