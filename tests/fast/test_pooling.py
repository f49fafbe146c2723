import pytest
import torch
import torch.nn.functional as F

from stn.fast.pooling import Corners, pool, pooled_like, unpool, unpooled_like, used_part


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


@pytest.mark.parametrize("size", [(28, 28), (23, 20), (9, 12)])
@pytest.mark.parametrize("kernel_size", [1, 4, 7])
def test_an_output_has_the_shape_of_the_plain_one_and_pixels_outermost(size, kernel_size):
    x, weight = torch.rand(3, 2, *size), torch.rand(5, 2, kernel_size, kernel_size)
    out = pooled_like(x, 5, kernel_size)
    assert out.shape == F.max_pool2d(F.conv2d(x, weight), 2).shape
    assert out.permute(3, 2, 0, 1).is_contiguous()


@pytest.mark.parametrize("size", [(28, 28), (23, 20), (9, 12)])
@pytest.mark.parametrize("kernel_size", [1, 4, 7])
def test_what_is_cropped_never_reaches_the_output(size, kernel_size):
    x, weight = torch.rand(3, 2, *size), torch.rand(5, 2, kernel_size, kernel_size)
    whole, cropped = (
        F.max_pool2d(F.conv2d(image, weight), 2) for image in (x, used_part(x, kernel_size))
    )
    torch.testing.assert_close(whole, cropped)
    assert all((side - kernel_size + 1) % 2 == 0 for side in used_part(x, kernel_size).shape[2:])
