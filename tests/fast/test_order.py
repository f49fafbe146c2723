import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from stn.fast.order import pooled_like, slices, used_part


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


@given(st.integers(1, 2000), st.integers(1, 10**6), st.integers(1, 10**7))
def test_slices_cover_a_batch_once_and_in_order(batch, floats_per_image, floats):
    images = torch.arange(batch)
    parts = [images[part] for part in slices(batch, floats_per_image, floats)]
    assert torch.equal(torch.cat(parts), images)
    assert all(len(part) for part in parts)
