import pytest
import torch

from stn.fast.convolution import conv_max_pool_plain
from stn.fast.windows import WindowsConvMaxPool
from tests.fast.cases import SHAPES, arguments


@pytest.mark.parametrize(("image", "weight"), SHAPES)
def test_equals_the_plain_way_where_the_image_needs_no_gradient(image, weight):
    x, *parameters = arguments(image, weight)
    x.requires_grad_(False)
    ours, plain = WindowsConvMaxPool.apply(x, *parameters), conv_max_pool_plain(x, *parameters)
    gradient = torch.randn_like(plain)
    torch.testing.assert_close(ours, plain, rtol=1e-10, atol=1e-10)
    both = [torch.autograd.grad(out, parameters, gradient) for out in (ours, plain)]
    torch.testing.assert_close(*both, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("wanted", [(True, False), (False, True)])
def test_only_the_wanted_gradients(wanted):
    x, *parameters = arguments((5, 2, 11, 8), (3, 2, 4, 4))
    x.requires_grad_(False)
    chosen = [p for p, needed in zip(parameters, wanted, strict=True) if needed]
    for parameter, needed in zip(parameters, wanted, strict=True):
        parameter.requires_grad_(needed)
    ours, plain = WindowsConvMaxPool.apply(x, *parameters), conv_max_pool_plain(x, *parameters)
    both = [torch.autograd.grad(out.square().sum(), chosen) for out in (ours, plain)]
    torch.testing.assert_close(*both, rtol=1e-10, atol=1e-10)
