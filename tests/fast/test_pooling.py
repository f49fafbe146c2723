import pytest
import torch
import torch.nn.functional as F

from stn.fast.pooling import Corners, pool, unpool, unpooled_like


@pytest.mark.parametrize("values", [2, 1000])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradient_are_those_of_max_pool2d_even_among_equals(values, layout):
    torch.manual_seed(0)
    y = torch.randint(values, (5, 7, 6, 10)).double().to(memory_format=layout).requires_grad_()
    expected = F.max_pool2d(y, 2)
    gradient = torch.randn_like(expected)
    out = torch.empty_like(expected)
    with torch.no_grad():
        edges = pool(Corners.of(y), out)
        grad_y = unpooled_like(edges)
        unpool(gradient, edges, Corners.of(grad_y))
    assert torch.equal(out, expected)
    assert torch.equal(grad_y, torch.autograd.grad(expected, y, gradient)[0])
    assert grad_y.stride() == y.stride()


def test_odd_last_row_and_column_are_left_out():
    y = torch.arange(35.0).view(1, 1, 5, 7)
    out = torch.empty(1, 1, 2, 3)
    edges = pool(Corners.of(y), out)
    assert torch.equal(out, F.max_pool2d(y, 2))
    assert unpooled_like(edges).shape == (1, 1, 4, 6)
