import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from stn.transformers import KERNELS, NOWHERE, base_grid, sample

sides = st.integers(1, 9)


def weights(kernel: str, x_s: Tensor, num: int) -> Tensor:
    """Return k(x_s - m) for the pixels m = 0 ... num - 1, on a new last axis."""
    m = torch.arange(num, dtype=x_s.dtype)
    if kernel == "integer":
        return (torch.floor(x_s + 0.5)[..., None] == m).to(x_s.dtype)
    d = (x_s[..., None] - m).abs()
    if kernel == "bilinear":
        return (1 - d).clamp(min=0)
    a = -0.75
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
    return torch.where(d <= 1, near, torch.where(d < 2, far, 0.0))


def dense(U: Tensor, grid: Tensor, kernel: str) -> Tensor:
    """Eq. 3 as it stands: the sum over all n and m."""
    height, width = U.shape[-2:]
    x_s = (grid[..., 0] + 1) / 2 * (width - 1)
    y_s = (grid[..., 1] + 1) / 2 * (height - 1)
    k_x, k_y = weights(kernel, x_s, width), weights(kernel, y_s, height)
    return torch.einsum("bcnm,bijn,bijm->bcij", U, k_y, k_x)


def random_case(
    batch: int = 2, channels: int = 3, in_size=(5, 7), out_size=(4, 6), seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Images, and grids that reach well beyond them."""
    generator = torch.Generator().manual_seed(seed)
    U = torch.rand(batch, channels, *in_size, dtype=torch.float64, generator=generator)
    grid = torch.rand(batch, *out_size, 2, dtype=torch.float64, generator=generator)
    return U, 4 * grid - 2


@pytest.mark.parametrize("kernel", KERNELS)
@given(
    batch=st.integers(0, 3),
    channels=st.integers(1, 6),
    in_size=st.tuples(sides, sides),
    out_size=st.tuples(sides, sides),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_every_kernel_is_the_dense_sum(kernel, batch, channels, in_size, out_size, seed) -> None:
    U, grid = random_case(batch, channels, in_size, out_size, seed)
    V = sample(U, grid, kernel)
    torch.testing.assert_close(V, dense(U, grid, kernel), atol=1e-12, rtol=0)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("in_size", [(5, 7), (1, 6), (8, 1)])
def test_gradients_are_those_of_the_dense_sum(kernel: str, in_size: tuple[int, int]) -> None:
    U, grid = random_case(in_size=in_size)
    inputs = U.requires_grad_(), grid.requires_grad_()
    found, wanted = (
        torch.autograd.grad(V.square().sum(), inputs, materialize_grads=True)
        for V in (sample(U, grid, kernel), dense(U, grid, kernel))
    )
    torch.testing.assert_close(found, wanted, atol=1e-11, rtol=0)


@pytest.mark.parametrize("channels", [1, 7])
@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
def test_it_is_torchs_sampler(kernel: str, channels: int) -> None:
    U, grid = random_case(channels=channels)
    U.requires_grad_()
    grid.requires_grad_()
    V = sample(U, grid, kernel)
    expected = F.grid_sample(U, grid, mode=kernel, align_corners=True)
    torch.testing.assert_close(V, expected, atol=1e-12, rtol=0)
    ours = torch.autograd.grad(V.square().sum(), (U, grid))
    theirs = torch.autograd.grad(expected.square().sum(), (U, grid))
    torch.testing.assert_close(ours, theirs, atol=1e-11, rtol=0)


@pytest.mark.parametrize("kernel", KERNELS)
@given(height=st.integers(1, 70), width=st.integers(1, 70))
@settings(max_examples=25, deadline=None)
def test_the_regular_grid_returns_the_image_bit_for_bit(kernel, height, width) -> None:
    U = torch.rand(1, 2, height, width, generator=torch.Generator().manual_seed(height))
    grid = base_grid((height, width))[None]
    torch.testing.assert_close(sample(U, grid, kernel), U, atol=0, rtol=0)


def test_many_channels_come_back_within_rounding() -> None:
    U = torch.rand(1, 16, 28, 42, generator=torch.Generator().manual_seed(0))
    V = sample(U, base_grid((28, 42))[None])
    torch.testing.assert_close(V, U, atol=42 * 2**-22, rtol=0)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("size", [(1000, 1203), (97, 224), (65, 3)])
def test_a_large_identity_is_exact_among_images_that_are_warped(kernel: str, size) -> None:
    U = torch.rand(3, 2, *size, generator=torch.Generator().manual_seed(0))
    grid = base_grid(size).repeat(3, 1, 1, 1)
    grid[0] *= 0.9
    V = sample(U, grid, kernel)
    assert torch.equal(V[1:], U[1:])
    assert not torch.equal(V[0], U[0])


def memory_of(function: Callable[[], object]) -> int:
    """Bytes that a call allocates in all, whether it frees them or not."""
    with torch.profiler.profile(profile_memory=True) as profile:
        function()
    return sum(max(0, event.self_cpu_memory_usage) for event in profile.events())


CROPS = [((4, 2, 500, 600), (13, 12)), ((2, 64, 33, 31), (7, 6)), ((40, 8, 50, 50), (7, 9))]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("shape", "size"), CROPS)
def test_memory_of_a_crop_follows_what_is_read(kernel: str, shape, size) -> None:
    U = torch.rand(1, *shape[1:]).expand(shape)  # boxes of one image
    grid = 0.3 * base_grid(size).repeat(shape[0], 1, 1, 1) + 0.1
    out = 4 * shape[0] * (shape[1] + 2) * size[0] * size[1]
    assert memory_of(lambda: sample(U, grid, kernel)) < 6 * out + 10_000
    grid.requires_grad_()
    assert memory_of(lambda: sample(U, grid, kernel).sum().backward()) < 12 * out + 10_000
    pixels = memory_of(lambda: U.clone())
    assert pixels == 4 * U.numel()  # which is what a copy of all images is measured to be
    assert 6 * out < pixels


def test_a_crop_is_the_dense_sum_within_the_rounding_of_its_coordinates() -> None:
    generator = torch.Generator().manual_seed(0)
    U = torch.rand(2, 3, 300, 401, generator=generator)
    grid = 2.4 * torch.rand(2, 9, 8, 2, generator=generator) - 1.2
    wanted = dense(U.double(), grid.double(), "bilinear")
    torch.testing.assert_close(sample(U, grid).double(), wanted, atol=401 * 2**-22, rtol=0)


def test_integer_kernel_rounds_halves_up() -> None:
    U = torch.arange(1.0, 6.0, dtype=torch.float64).view(1, 1, 1, 5)
    x_s = torch.tensor([-0.5, 0.5, 1.5, 2.5, 3.5, 4.5, -0.51], dtype=torch.float64)
    grid = torch.stack([x_s / 2 - 1, torch.zeros_like(x_s)], dim=-1)[None, None]
    assert sample(U, grid, "integer").flatten().tolist() == [1, 2, 3, 4, 5, 0, 0]


def test_sub_gradient_at_a_pixel_is_from_the_right() -> None:
    U = torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64).view(1, 1, 1, 3)
    grid = base_grid((1, 3), torch.float64)[None].clone().requires_grad_()
    sample(U, grid).sum().backward()
    assert grid.grad[0, 0, :, 0].tolist() == [3, 5, -9]  # one pixel is one unit here


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf, NOWHERE, -3e38])
@pytest.mark.parametrize("size", [(4, 5), (1, 1)])
def test_a_coordinate_that_is_not_finite_reads_zero(
    kernel: str, bad: float, size: tuple[int, int]
) -> None:
    U = torch.ones(2, 1, *size, requires_grad=True)
    grid = torch.zeros(2, 3, 3, 2)
    grid[0, 1, 2, 1] = bad
    grid.requires_grad_()
    V = sample(U, grid, kernel)
    expected = torch.ones(2, 1, 3, 3)
    expected[0, 0, 1, 2] = 0
    torch.testing.assert_close(V, expected)
    V.square().sum().backward()
    assert torch.isfinite(U.grad).all()
    assert torch.isfinite(grid.grad).all()
    assert grid.grad[0, 1, 2].tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("kernel", KERNELS)
def test_v_has_the_type_of_u(kernel: str, dtype: torch.dtype) -> None:
    U, grid = random_case()
    V = sample(U.to(dtype), grid.float(), kernel)
    assert V.dtype == dtype
    expected = sample(U.to(dtype).double(), grid.float().double(), kernel)
    torch.testing.assert_close(V.double(), expected, atol=16 * torch.finfo(dtype).eps, rtol=0)


@pytest.mark.parametrize("kernel", KERNELS)
def test_layout_in_memory_does_not_matter_and_nothing_is_modified(kernel: str) -> None:
    U, grid = random_case()
    wide = torch.stack([U, U], dim=-1)[..., 0]  # not contiguous
    planes = grid.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
    before = U.clone(), grid.clone()
    expected = sample(U, grid, kernel)
    for image in (wide, U.to(memory_format=torch.channels_last), U.expand_as(U)):
        for positions in (grid, planes):
            torch.testing.assert_close(sample(image, positions, kernel), expected)
    assert torch.equal(U, before[0])
    assert torch.equal(grid, before[1])


@pytest.mark.parametrize("kernel", KERNELS)
def test_sample_compiles_whole(kernel: str) -> None:
    U, grid = random_case()
    grid[0, 0, 0] = torch.nan
    compiled = torch.compile(sample, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(U, grid, kernel), sample(U, grid, kernel))


def test_an_unknown_kernel_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'nearest'.*integer, bilinear, bicubic"):
        sample(torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2, 2), "nearest")


@pytest.mark.parametrize(
    ("U", "grid"),
    [((2, 1, 4, 4), (3, 4, 4, 2)), ((4, 4), (1, 4, 4, 2)), ((2, 1, 4, 4), (2, 4, 4, 3))],
)
def test_both_shapes_are_named(U: tuple[int, ...], grid: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=f"{re.escape(str(U))} and {re.escape(str(grid))}"):
        sample(torch.zeros(U), torch.zeros(grid))


def test_integer_images_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        sample(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), torch.zeros(1, 2, 2, 2))
