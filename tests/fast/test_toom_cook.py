import pytest
import torch
import torch.nn.functional as F

from stn.fast.toom_cook import algorithm, num_products


@pytest.mark.parametrize(
    ("num_outputs", "num_taps"), [(1, 5), (2, 3), (3, 4), (4, 7), (10, 7), (11, 9)]
)
def test_algorithm_correlates(num_outputs, num_taps):
    torch.manual_seed(0)
    x = torch.randn(num_outputs + num_taps - 1, dtype=torch.float64)
    w = torch.randn(num_taps, dtype=torch.float64)
    matrices = algorithm(num_outputs, num_taps, torch.float64)
    y = matrices.to_output @ ((matrices.to_weight @ w) * (matrices.to_input @ x))
    torch.testing.assert_close(y, F.conv1d(x[None, None], w[None, None])[0, 0], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("num_outputs", "num_taps"), [(4, 7), (10, 7), (20, 7)])
def test_products_are_fewer_than_those_of_the_definition(num_outputs, num_taps):
    matrices = algorithm(num_outputs, num_taps, torch.float32)
    num = num_products(num_outputs + num_taps - 1)
    assert matrices.to_weight.shape == (num, num_taps)
    assert num < num_outputs * num_taps / 2
