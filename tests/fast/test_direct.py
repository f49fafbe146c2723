import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from stn.fast import direct
from stn.fast.direct import fold, slices, window_weight


@pytest.mark.parametrize(("size", "channels"), [(4, 1), (6, 3), (10, 1)])
def test_fold_adds_up_overlapping_windows(size, channels):
    torch.manual_seed(0)
    windows = torch.randn(2, 3, 8, size, size, channels, dtype=torch.float64)
    columns = windows.permute(0, 5, 3, 4, 1, 2).reshape(2, -1, 24)
    expected = F.fold(columns, (4 + size, 14 + size), size, stride=2)
    torch.testing.assert_close(fold(windows), expected.permute(0, 2, 3, 1))


def test_window_weight_is_the_jacobian_of_one_block():
    torch.manual_seed(0)
    weight = torch.randn(3, 2, 3, 3, dtype=torch.float64)
    image = torch.randn(1, 2, 4, 4, dtype=torch.float64)
    jacobian = torch.func.jacrev(F.conv2d)(image, weight)  # (1, 3, 2, 2, 1, 2, 4, 4)
    expected = jacobian[0, ..., 0, :, :, :].permute(4, 5, 3, 0, 1, 2).reshape(32, 3, 2, 2)
    torch.testing.assert_close(window_weight(weight), expected)


def test_slicing_the_batch_changes_no_gradient(monkeypatch):
    torch.manual_seed(0)
    x = torch.randn(7, 1, 9, 12, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(4, 1, 5, 5, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(4, dtype=torch.float64, requires_grad=True)

    def values_and_gradients():
        out = direct.DirectConvMaxPool.apply(x, weight, bias)
        return [out, *torch.autograd.grad(out.square().sum(), (x, weight, bias))]

    whole = values_and_gradients()
    monkeypatch.setattr(direct, "SLICE_FLOATS", 4 * 5 * 8 * 2)
    torch.testing.assert_close(values_and_gradients(), whole)


@given(st.integers(1, 2000), st.integers(3, 300), st.integers(1, 500))
def test_slices_cover_a_batch_once_and_in_order(batch, side, filters):
    x, weight = torch.empty(batch, 1, side, side, device="meta"), torch.empty(filters, 1, 3, 3)
    images = torch.arange(batch)
    parts = [images[part] for part in slices(x, weight)]
    assert torch.equal(torch.cat(parts), images)
    assert all(len(part) for part in parts)
