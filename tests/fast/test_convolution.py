from itertools import product

import pytest
import torch
import torch.nn.functional as F

from stn.fast.bilinear import BilinearConvMaxPool
from stn.fast.convolution import (
    bilinear_is_cheaper,
    conv,
    conv_max_pool,
    conv_max_pool_plain,
)
from stn.fast.direct import DirectConvMaxPool
from tests.fast.cases import SHAPES, arguments

WAYS = {
    "direct": DirectConvMaxPool.apply,
    "bilinear": BilinearConvMaxPool.apply,
    "auto": conv_max_pool,
}
way_and_shape = [
    pytest.param(way, *shape, id=f"{name}-{shape[0]}-{shape[1][-1]}")
    for (name, way), shape in product(WAYS.items(), SHAPES)
]


def values_and_gradients(way, inputs):
    out = way(*inputs)
    torch.manual_seed(1)
    gradient = torch.randn(out.shape, dtype=torch.float64).to(out.dtype)
    return [out, *torch.autograd.grad(out, inputs, gradient)]


@pytest.mark.parametrize(("way", "image", "weight"), way_and_shape)
def test_equals_the_plain_way_in_float64(way, image, weight):
    inputs = arguments(image, weight)
    ours, plain = (values_and_gradients(f, inputs) for f in (way, conv_max_pool_plain))
    for a, b in zip(ours, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("way", "image", "weight"), way_and_shape)
def test_float32_is_as_exact_as_it_can_be(way, image, weight):
    inputs = arguments(image, weight, torch.float32)
    exact = values_and_gradients(
        conv_max_pool_plain, [i.detach().double().requires_grad_() for i in inputs]
    )
    for a, b in zip(values_and_gradients(way, inputs), exact, strict=True):
        error = (a.double() - b).square().mean().sqrt() / b.square().mean().sqrt()
        assert error < 4e-6


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("wanted", [w for w in product((False, True), repeat=3) if any(w)])
def test_only_the_wanted_gradients(way, wanted):
    dtype = torch.float32
    inputs = arguments((2, 9, 10, 12), (6, 9, 5, 5), dtype)
    expected = values_and_gradients(way, inputs)[1:]
    for tensor, needed in zip(inputs, wanted, strict=True):
        tensor.requires_grad_(needed)
    out = way(*inputs)
    torch.manual_seed(1)
    out.backward(torch.randn(out.shape, dtype=torch.float64).to(dtype))
    for tensor, gradient, needed in zip(inputs, expected, wanted, strict=True):
        if needed:
            torch.testing.assert_close(tensor.grad, gradient)
        else:
            assert tensor.grad is None


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_any_strides_of_input_weight_and_gradient(way):
    x, weight, bias = arguments((3, 4, 11, 10), (5, 4, 5, 5))
    strided = [
        x.detach().permute(3, 2, 0, 1).contiguous().permute(2, 3, 1, 0),
        weight.detach().repeat_interleave(2, dim=3)[..., ::2],
        bias.detach().repeat(2)[:5],
    ]
    expected = values_and_gradients(conv_max_pool_plain, [x, weight, bias])
    ours = values_and_gradients(way, [s.requires_grad_() for s in strided])
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)
    out = way(x, weight, bias)  # a gradient without memory of its own
    torch.testing.assert_close(
        torch.autograd.grad(out.sum(), x),
        torch.autograd.grad(conv_max_pool_plain(x, weight, bias).sum(), x),
    )


@pytest.mark.parametrize(("image", "weight"), SHAPES[:3])
def test_repeats_bit_for_bit_and_backward_twice(image, weight):
    inputs = arguments(image, weight, torch.float32)
    first, second = (values_and_gradients(conv_max_pool, inputs) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    loss = conv_max_pool(*inputs).square().sum()
    once = torch.autograd.grad(loss, inputs, retain_graph=True)
    again = torch.autograd.grad(loss, inputs)
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


def test_few_filters_on_a_batch_of_digits_go_by_windows():
    x, *parameters = arguments((48, 1, 14, 15), (20, 1, 5, 5), torch.float32)
    assert type(conv_max_pool(x.detach(), *parameters).grad_fn).__name__.startswith("Windows")
    assert not type(conv_max_pool(x, *parameters).grad_fn).__name__.startswith("Windows")


@pytest.mark.parametrize("size", [(5, 4), (9, 8)])  # as large as the filters, and larger
def test_a_convolution_is_a_convolution(size):
    torch.manual_seed(0)
    x = torch.randn(50, 3, *size, requires_grad=True)
    weight, bias = (torch.randn(s, requires_grad=True) for s in ((7, 3, 5, 4), (7,)))
    ours, plain = (f(x, weight, bias) for f in (conv, F.conv2d))
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-4)
    gradient = torch.randn_like(plain)
    both = [torch.autograd.grad(out, (x, weight, bias), gradient) for out in (ours, plain)]
    torch.testing.assert_close(*both, rtol=1e-4, atol=1e-4)


def test_no_gradient_no_graph():
    x, weight, bias = arguments(*SHAPES[1], torch.float32)
    with torch.no_grad():
        out = conv_max_pool(x, weight, bias)
        plain = conv_max_pool_plain(x, weight, bias)
    torch.testing.assert_close(out, plain, rtol=0, atol=1e-5 * plain.std().item())
    assert out.grad_fn is None


def test_the_choice_counts_multiplications():
    assert bilinear_is_cheaper((256, 48, 10, 10), (48, 48, 7, 7))
    assert bilinear_is_cheaper((256, 48, 17, 17), (48, 48, 7, 7))
    assert not bilinear_is_cheaper((256, 1, 28, 28), (48, 1, 9, 9))
    assert not bilinear_is_cheaper((256, 48, 10, 10), (48, 48, 1, 1))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_number_types_take_the_plain_way(dtype):
    inputs = [i.to(dtype) for i in arguments((2, 8, 10, 10), (4, 8, 5, 5))]
    assert torch.equal(conv_max_pool(*inputs), conv_max_pool_plain(*inputs))
