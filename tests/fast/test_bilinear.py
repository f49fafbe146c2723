import torch

from stn.fast.bilinear import BilinearConvMaxPool
from stn.fast.convolution import conv_max_pool_plain
from tests.fast.cases import arguments


def test_rows_and_columns_that_pooling_drops_have_no_gradient():
    x, weight, bias = arguments((2, 3, 12, 10), (4, 3, 4, 4))  # outputs (9, 7), pooled to (4, 3)
    out = BilinearConvMaxPool.apply(x, weight, bias)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert not gradient[:, :, 11:].any()
    assert not gradient[:, :, :, 9:].any()
    (plain,) = torch.autograd.grad(conv_max_pool_plain(x, weight, bias).sum(), x)
    torch.testing.assert_close(gradient, plain)


def test_memory_of_the_output_is_ordered_for_the_next_layer():
    out = BilinearConvMaxPool.apply(*arguments((3, 4, 11, 9), (5, 4, 3, 3)))
    assert out.permute(3, 2, 0, 1).is_contiguous()  # (column, row, image, channel)
