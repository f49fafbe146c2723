"""Volumes (Appendix A.3) have the properties that images have: grids, samplers, the layer."""

import copy
import itertools
import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from stn.transformers import (
    KERNELS,
    NOWHERE,
    Affine,
    Affine3d,
    NonFiniteThetaError,
    SpatialTransformer,
    affine_grid,
    base_grid,
    outside_fraction,
    regression_layer,
    sample,
)
from tests.transformers.test_samplers import weights
from tests.transforms import near_identity

SIZES = [(4, 5, 9), (3, 8, 3), (1, 6, 7), (5, 1, 4), (4, 6, 1), (1, 1, 5), (1, 1, 1)]
every_kernel = pytest.mark.parametrize("kernel", KERNELS)
every_size = pytest.mark.parametrize("size", SIZES, ids=str)
ignore_one_pixel = pytest.mark.filterwarnings("ignore:Since version 1.3.0")
sides = st.integers(1, 6)


def dense(U: Tensor, grid: Tensor, kernel: str) -> Tensor:
    """Eq. 3 with a third axis, as it stands: the sum over all pixels."""
    k_x, k_y, k_z = (
        weights(kernel, (grid[..., i] + 1) / 2 * (side - 1), side)
        for i, side in enumerate(reversed(U.shape[2:]))
    )
    return torch.einsum("bclnm,bhijl,bhijn,bhijm->bchij", U, k_z, k_y, k_x)


def random_case(
    in_size=(3, 5, 7), out_size=(4, 2, 6), batch: int = 2, channels: int = 2, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Volumes, and grids that reach well beyond them."""
    generator = torch.Generator().manual_seed(seed)
    U = torch.rand(batch, channels, *in_size, dtype=torch.float64, generator=generator)
    grid = torch.rand(batch, *out_size, 3, dtype=torch.float64, generator=generator)
    return U, 4 * grid - 2


class Given(nn.Module):
    """A localisation network that returns what it was given."""

    def __init__(self, theta: Tensor) -> None:
        super().__init__()
        self.theta = nn.Parameter(theta)

    def forward(self, U: Tensor) -> Tensor:
        return self.theta


@every_size
def test_base_grid_holds_centres_as_x_then_y_then_z(size: tuple[int, int, int]) -> None:
    grid = base_grid(size, torch.float64)
    assert grid.shape == (*size, 3)
    for place in itertools.product(*map(range, size)):
        wanted = [2 * n / (side - 1) - 1 if side > 1 else 0.0 for n, side in zip(place, size)]  # noqa: B905
        torch.testing.assert_close(grid[place].tolist(), wanted[::-1], atol=1e-15, rtol=0)


@every_size
def test_the_identity_is_the_base_grid_exactly(size: tuple[int, int, int]) -> None:
    identity = Affine3d().identity()
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        grid = Affine3d().grid(identity.to(dtype).expand(2, -1), size)
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        assert torch.equal(grid, base_grid(size, wide).expand(2, *size, 3))


@ignore_one_pixel
@every_size
def test_affine_grid_is_torchs(size: tuple[int, int, int]) -> None:
    ours, theirs = (near_identity(Affine3d(), spread=1.0).requires_grad_() for _ in range(2))
    grid = Affine3d().grid(ours, size)
    expected = F.affine_grid(theirs.view(-1, 3, 4), [3, 1, *size], align_corners=True)
    torch.testing.assert_close(grid, expected, atol=1e-12, rtol=0)
    weight = torch.rand_like(expected)
    (grid * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-12, rtol=0)


def test_with_no_depth_it_is_the_affine_warp_of_images() -> None:
    """A matrix that leaves z alone warps every slice as its part of x and y warps an image."""
    theta = near_identity(Affine())
    matrix = torch.eye(3, 4).double().repeat(3, 1, 1)
    matrix[:, :2, [0, 1, 3]] = theta.view(-1, 2, 3)
    U = torch.rand(3, 2, 4, 5, 7, dtype=torch.float64)
    V = sample(U, Affine3d().grid(matrix.flatten(1), (4, 6, 3)))
    slices = sample(U.flatten(1, 2), Affine().grid(theta, (6, 3))).unflatten(1, (2, 4))
    torch.testing.assert_close(V, slices, atol=1e-12, rtol=0)


@every_kernel
@given(
    batch=st.integers(0, 2),
    channels=st.integers(1, 4),
    in_size=st.tuples(sides, sides, sides),
    out_size=st.tuples(sides, sides, sides),
    seed=st.integers(0, 1000),
)
@settings(max_examples=30, deadline=None)
def test_every_kernel_is_the_dense_sum(kernel, batch, channels, in_size, out_size, seed) -> None:
    U, grid = random_case(in_size, out_size, batch, channels, seed)
    V = sample(U, grid, kernel)
    torch.testing.assert_close(V, dense(U, grid, kernel), atol=1e-12, rtol=0)


@every_kernel
@pytest.mark.parametrize("in_size", [(3, 5, 7), (1, 4, 5), (6, 1, 4), (5, 3, 1)])
def test_gradients_are_those_of_the_dense_sum(kernel: str, in_size) -> None:
    U, grid = random_case(in_size)
    inputs = U.requires_grad_(), grid.requires_grad_()
    found, wanted = (
        torch.autograd.grad(V.square().sum(), inputs, materialize_grads=True)
        for V in (sample(U, grid, kernel), dense(U, grid, kernel))
    )
    torch.testing.assert_close(found, wanted, atol=1e-11, rtol=0)


@every_kernel
@given(size=st.tuples(st.integers(1, 33), st.integers(1, 33), st.integers(1, 33)))
@settings(max_examples=20, deadline=None)
def test_the_regular_grid_returns_the_volume_bit_for_bit(kernel, size) -> None:
    U = torch.rand(1, 2, *size, generator=torch.Generator().manual_seed(size[0]))
    assert torch.equal(sample(U, base_grid(size)[None], kernel), U)


def test_the_identity_is_exact_among_volumes_that_are_warped() -> None:
    U = torch.rand(3, 1, 30, 60, 47, generator=torch.Generator().manual_seed(0))
    grid = base_grid((30, 60, 47)).repeat(3, 1, 1, 1, 1)
    grid[0] *= 0.9
    V = sample(U, grid)
    assert torch.equal(V[1:], U[1:])
    assert not torch.equal(V[0], U[0])


@every_kernel
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, NOWHERE, -3e38])
@pytest.mark.parametrize("size", [(3, 4, 5), (1, 1, 1)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_coordinate_that_is_not_finite_reads_zero(kernel, bad: float, size, axis: int) -> None:
    U = torch.ones(2, 1, *size, requires_grad=True)
    grid = torch.zeros(2, 2, 3, 3, 3)
    grid[0, 1, 0, 2, axis] = bad
    grid.requires_grad_()
    V = sample(U, grid, kernel)
    expected = torch.ones(2, 1, 2, 3, 3)
    expected[0, 0, 1, 0, 2] = 0
    torch.testing.assert_close(V, expected)
    V.square().sum().backward()
    assert torch.isfinite(U.grad).all()
    assert torch.isfinite(grid.grad).all()
    assert grid.grad[0, 1, 0, 2].tolist() == [0, 0, 0]


def test_one_pixel_of_each_axis_moves_the_content_the_other_way() -> None:
    U = torch.rand(1, 1, 4, 5, 6, dtype=torch.float64)
    for axis, side in enumerate((6, 5, 4)):  # x, y, z
        theta = Affine3d().identity().double().view(1, 3, 4)
        theta[0, axis, 3] = 2 / (side - 1)
        V = sample(U, Affine3d().grid(theta.flatten(1), (4, 5, 6)))
        moved = U.narrow(4 - axis, 1, side - 1)
        torch.testing.assert_close(V.narrow(4 - axis, 0, side - 1), moved, atol=1e-12, rtol=0)
        assert not V.select(4 - axis, side - 1).any()


@pytest.mark.parametrize("output_size", [(3, 2, 4), (1, 4, 3), None])
def test_the_whole_layer_has_right_gradients(output_size) -> None:
    theta = near_identity(Affine3d(), batch=2, spread=0.1)
    layer = SpatialTransformer(Given(theta), Affine3d(), output_size)
    U = random_case((3, 4, 5))[0].requires_grad_()
    assert layer(U).shape == (2, 2, *(output_size or (3, 4, 5)))

    def warp(U: Tensor, theta: Tensor) -> Tensor:
        return layer.warp(U, theta)

    assert torch.autograd.gradcheck(warp, (U, theta.requires_grad_()))


@ignore_one_pixel
@pytest.mark.parametrize("kernel", ["integer", "bilinear"])
@pytest.mark.parametrize(("in_size", "out_size"), [((3, 7, 10), (4, 5, 8)), ((1, 5, 4), (2, 1, 3))])
def test_the_whole_layer_is_torchs(kernel: str, in_size, out_size) -> None:
    theta, U = near_identity(Affine3d(), batch=2), random_case(in_size)[0]
    layer = SpatialTransformer(Given(theta), Affine3d(), out_size, kernel)
    ours, theirs = U.clone().requires_grad_(), U.clone().requires_grad_()
    other = theta.clone().requires_grad_()
    V = layer(ours)
    grid = F.affine_grid(other.view(-1, 3, 4), [2, 2, *out_size], align_corners=True)
    mode = "nearest" if kernel == "integer" else kernel
    expected = F.grid_sample(theirs, grid, mode=mode, align_corners=True)
    torch.testing.assert_close(V, expected, atol=1e-12, rtol=0)
    V.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-11, rtol=0)
    torch.testing.assert_close(layer.localisation.theta.grad, other.grad, atol=1e-11, rtol=0)


def test_a_layer_starts_as_the_identity_and_learns_from_there() -> None:
    torch.manual_seed(0)
    localisation = nn.Sequential(nn.Flatten(), regression_layer(2 * 3 * 5 * 4, Affine3d()))
    layer = SpatialTransformer(localisation, Affine3d())
    U = torch.rand(3, 2, 3, 5, 4)
    assert torch.equal(layer(U), U)
    layer(U).pow(3).sum().backward()
    assert all(p.grad.any() for p in layer.parameters())
    assert torch.equal(copy.deepcopy(layer)(U), U)


@pytest.mark.parametrize("kernel", ["integer", "bilinear"])
@pytest.mark.parametrize("way", ["compile", "vmap", "hessian"])
def test_what_torch_does_with_functions_it_does_with_volumes(kernel: str, way: str) -> None:
    U, theta = random_case((3, 4, 5))[0], near_identity(Affine3d(), batch=2)

    def warp(U: Tensor, theta: Tensor) -> Tensor:
        return sample(U, Affine3d().grid(theta, (2, 3, 4)), kernel)

    if way == "compile":
        found, wanted = torch.compile(warp, backend="eager", fullgraph=True)(U, theta), warp
        torch.testing.assert_close(found, wanted(U, theta), atol=1e-12, rtol=0)
    elif way == "vmap":
        found = torch.vmap(lambda U, t: warp(U[None], t[None])[0])(U, theta)
        torch.testing.assert_close(found, warp(U, theta), atol=1e-12, rtol=0)
    else:
        first = theta[:1].requires_grad_()
        assert torch.autograd.gradgradcheck(lambda theta: warp(U[:1], theta), first)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_rounds_volumes_and_theta_but_no_coordinate(dtype: torch.dtype) -> None:
    theta, U = near_identity(Affine3d(), batch=2).to(dtype), random_case()[0].to(dtype)
    V = SpatialTransformer(Given(theta), Affine3d())(U)
    expected = SpatialTransformer(Given(theta.float()), Affine3d())(U.float())
    assert torch.equal(V, expected.to(dtype))


def test_a_theta_that_is_not_finite_is_named_and_elsewhere_gives_nan() -> None:
    theta = Affine3d().identity().repeat(4, 1)
    theta[1, 2] = torch.nan
    layer = SpatialTransformer(Given(theta), Affine3d())
    with pytest.raises(NonFiniteThetaError, match=r"1 of 4 images \(25%\)"):
        layer(torch.zeros(4, 1, 2, 5, 6))
    V = torch.compile(layer, backend="eager")(torch.zeros(4, 1, 2, 5, 6))
    assert V.isnan().flatten(1).all(dim=1).tolist() == [False, True, False, False]


def test_outside_fraction_counts_all_three_axes() -> None:
    grid = base_grid((5, 4, 2)).repeat(2, 1, 1, 1, 1)
    grid[1, ..., 2] += 0.75  # slices at 0.5 and 1 leave
    torch.testing.assert_close(outside_fraction(grid), torch.tensor([0.0, 0.4]))


@every_kernel
@given(seed=st.integers(0, 10_000), low=st.integers(-38, 37))
@settings(max_examples=10, deadline=None)
def test_a_theta_of_any_size_is_answered_with_finite_numbers(kernel, seed: int, low: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    theta = torch.randn(2, 12, generator=generator) * 10.0**low
    layer = SpatialTransformer(Given(theta.clamp(-3e38, 3e38)), Affine3d(), (3, 2, 5), kernel)
    U = random_case()[0].float().requires_grad_()
    V = layer(U)
    V.sum().backward()
    for found in (V, U.grad, layer.localisation.theta.grad):
        assert torch.isfinite(found).all()


A_VOLUME, AN_IMAGE = torch.zeros(2, 1, 3, 4, 5), torch.zeros(2, 1, 4, 5)
IDENTITIES = Affine3d().identity().repeat(2, 1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sample(A_VOLUME, base_grid((4, 5)).repeat(2, 1, 1, 1)), "(B, C, D, H, W)"),
        (lambda: sample(AN_IMAGE, base_grid((3, 4, 5)).repeat(2, 1, 1, 1, 1)), "(2, 3, 4, 5, 3)"),
        (lambda: sample(A_VOLUME, torch.zeros(3, 3, 4, 5, 3)), "(3, 3, 4, 5, 3)"),
        (lambda: sample(A_VOLUME, torch.zeros(2, 3, 4, 5, 2)), "(2, 3, 4, 5, 2)"),
        (lambda: affine_grid(torch.zeros(2, 3, 3), (3, 4, 5)), "(2, 3, 3)"),
        (lambda: Affine3d().grid(torch.zeros(2, 6), (3, 4, 5)), "(B, 12)"),
        (lambda: Affine3d().grid(IDENTITIES, (4, 5)), "3 whole numbers (D, H, W)"),
        (lambda: Affine3d().grid(IDENTITIES, 5), "3 whole numbers (D, H, W)"),
        (lambda: Affine3d().grid(IDENTITIES, (3, 0, 5)), "(3, 0, 5)"),
        (lambda: SpatialTransformer(nn.Identity(), Affine3d(), (4, 5)), "(D, H, W)"),
        (lambda: SpatialTransformer(nn.Identity(), Affine(), (3, 4, 5)), "(H, W)"),
        (lambda: SpatialTransformer(nn.Identity(), Affine3d()).warp(AN_IMAGE, IDENTITIES), "(2, 1"),
        (lambda: SpatialTransformer(nn.Identity(), Affine()).warp(A_VOLUME, IDENTITIES), "(B, 6)"),
    ],
)
def test_what_does_not_fit_is_named(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        call()
