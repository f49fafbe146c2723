from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from scipy.interpolate import RBFInterpolator
from torch import Tensor

from stn.transformers import (
    NOWHERE,
    affine_grid,
    base_grid,
    outside_fraction,
    projective_grid,
    tps_basis,
    tps_grid,
)
from stn.transformers.grids import SHRINK, _perspective

SIZES = [(5, 9), (8, 3), (6, 6), (1, 7), (4, 1), (1, 1)]


def random_affine(batch: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, 2, 3, dtype=torch.float64, generator=generator)


def homography(affine: Tensor, bottom: tuple[float, float, float]) -> Tensor:
    row = torch.tensor(bottom, dtype=affine.dtype).expand(len(affine), 1, 3)
    return torch.cat([affine, row], dim=1)


@pytest.mark.parametrize("size", SIZES)
def test_base_grid_holds_pixel_centres_as_x_then_y(size: tuple[int, int]) -> None:
    grid = base_grid(size, torch.float64)
    assert grid.shape == (*size, 2)
    height, width = size
    for row in range(height):
        for column in range(width):
            x = 2 * column / (width - 1) - 1 if width > 1 else 0.0
            y = 2 * row / (height - 1) - 1 if height > 1 else 0.0
            torch.testing.assert_close(grid[row, column].tolist(), [x, y], atol=1e-15, rtol=0)


@pytest.mark.filterwarnings("ignore:Since version 1.3.0")  # torch's remark on sides of one pixel
@pytest.mark.parametrize("size", SIZES)
def test_affine_grid_is_torchs(size: tuple[int, int]) -> None:
    ours, theirs = (random_affine().requires_grad_() for _ in range(2))
    grid = affine_grid(ours, size)
    expected = F.affine_grid(theirs, [3, 1, *size], align_corners=True)
    torch.testing.assert_close(grid, expected, atol=1e-12, rtol=0)
    weights = torch.rand_like(expected)
    (grid * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-12, rtol=0)


def test_affine_identity_is_the_base_grid_exactly() -> None:
    theta = torch.eye(2, 3).expand(2, 2, 3)
    assert torch.equal(affine_grid(theta, (5, 7))[1], base_grid((5, 7)))


@pytest.mark.parametrize("size", SIZES)
def test_projective_contains_affine(size: tuple[int, int]) -> None:
    theta = random_affine()
    grid = projective_grid(homography(theta, (0.0, 0.0, 1.0)), size)
    torch.testing.assert_close(grid, affine_grid(theta, size), atol=1e-12, rtol=0)


def test_projective_divides_by_the_third_coordinate() -> None:
    theta = homography(random_affine(), (0.2, -0.3, 1.0))
    grid = projective_grid(theta, (4, 5))
    target = torch.cat([base_grid((4, 5), torch.float64), torch.ones(4, 5, 1)], dim=2)
    u, v, w = torch.einsum("brk,hwk->rbhw", theta, target.double())
    torch.testing.assert_close(grid, torch.stack([u / w, v / w], dim=-1), atol=1e-12, rtol=0)


def test_projective_has_no_source_behind_the_horizon() -> None:
    """With w = 1 + 2 x, the columns left of x = -0.5 are behind and that at -0.5 is on it."""
    theta = homography(torch.eye(2, 3, dtype=torch.float64)[None], (2.0, 0.0, 1.0))
    theta.requires_grad_()
    grid = projective_grid(theta, (3, 5))
    assert (grid[:, :, :2] == NOWHERE).all()
    assert (grid[:, :, 2:].abs() < 2).all()
    grid.sum().backward()
    assert torch.isfinite(theta.grad).all()


@pytest.mark.parametrize("bottom", [(0.3, -0.2, 1.0), (1.5, 0.4, 1.0), (0.0, 0.0, -1.0)])
def test_projective_gradient(bottom: tuple[float, float, float]) -> None:
    theta = homography(random_affine(2), bottom).requires_grad_()
    assert torch.autograd.gradcheck(lambda theta: projective_grid(theta, (3, 4)), theta)


def test_projective_of_a_zero_matrix_is_finite() -> None:
    theta = torch.zeros(2, 3, 3, requires_grad=True)
    grid = projective_grid(theta, (3, 4))
    assert (grid == NOWHERE).all()
    grid.sum().backward()
    assert torch.equal(theta.grad, torch.zeros(2, 3, 3))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("size", [1e-38, 1e3, 1e20, 1e38, 3.4e38])
def test_projective_of_any_size_is_right_and_finite(size: float, sign: int) -> None:
    """Entries next to float32's largest number, against float64, where nothing overflows."""
    random = torch.Generator().manual_seed(0)
    theta = size * (2 * torch.rand(64, 3, 3, generator=random) - 1)
    theta[::2, 2, 2] = sign * size  # every other one is mostly in front of the horizon, or behind
    theta[1::4, 2] = theta[1::4, 2].clamp(-1, 1)  # u / w overflows
    theta.requires_grad_()
    grid, precise = projective_grid(theta, (3, 4)), projective_grid(theta.double(), (3, 4))
    near_edge = (precise.abs() > 1e4).any(dim=-1)  # w is lost to rounding, or there is no source
    torch.testing.assert_close(grid[~near_edge], precise[~near_edge].float(), rtol=1e-2, atol=1e-4)
    assert (grid.abs() <= NOWHERE).all()
    (gradient,) = torch.autograd.grad(grid.clamp(-1, 1).sum(), theta)
    assert torch.isfinite(gradient).all()
    (plain,) = torch.autograd.grad(_perspective(SHRINK * theta, (3, 4)).clamp(-1, 1).sum(), theta)
    assert torch.isfinite(plain).all()


def test_tps_carries_any_control_points() -> None:
    """Points of the target grid itself, so that the grid can be read off at them."""
    size, generator = (6, 9), torch.Generator().manual_seed(1)
    chosen = torch.randperm(54, generator=generator)[:10]
    targets = base_grid(size, torch.float64).reshape(-1, 2)[chosen]
    offsets = torch.randn(3, 10, 2, dtype=torch.float64, generator=generator)
    grid = tps_grid(offsets, tps_basis(targets, size))
    read = grid.reshape(3, -1, 2)[:, chosen]
    torch.testing.assert_close(read, targets + offsets, atol=1e-10, rtol=0)


def test_tps_is_scipys() -> None:
    generator = torch.Generator().manual_seed(2)
    targets, offsets = torch.randn(2, 9, 2, dtype=torch.float64, generator=generator)
    spline = RBFInterpolator(targets, targets + offsets, kernel="thin_plate_spline", degree=1)
    expected = torch.from_numpy(spline(base_grid((5, 8), torch.float64).reshape(-1, 2)))
    grid = tps_grid(offsets[None], tps_basis(targets, (5, 8)))
    torch.testing.assert_close(grid.view(-1, 2), expected, atol=1e-10, rtol=0)


def test_tps_contains_affine() -> None:
    theta = random_affine()
    targets = base_grid((3, 4), torch.float64).reshape(-1, 2)
    moved = targets @ theta[:, :, :2].mT + theta[:, None, :, 2]
    grid = tps_grid(moved - targets, tps_basis(targets, (7, 5)))
    torch.testing.assert_close(grid, affine_grid(theta, (7, 5)), atol=1e-10, rtol=0)


def test_tps_of_no_offset_is_the_base_grid_exactly() -> None:
    basis = tps_basis(base_grid((4, 4)).reshape(-1, 2), (5, 7)).float()
    assert torch.equal(tps_grid(torch.zeros(2, 16, 2), basis)[1], base_grid((5, 7)))


def test_outside_fraction_counts_samples_beyond_the_border() -> None:
    grid = base_grid((4, 5)).repeat(4, 1, 1, 1)
    grid[1, :, :, 0] += 0.75  # columns at 0.5 and 1 leave
    grid[2, 0] = torch.nan
    grid[3] = NOWHERE
    torch.testing.assert_close(outside_fraction(grid), torch.tensor([0.0, 0.4, 0.25, 1.0]))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: affine_grid(torch.zeros(4, 6), (3, 3)), r"\(B, 2, 3\).*\(4, 6\)"),
        (lambda: projective_grid(torch.zeros(4, 8), (3, 3)), r"\(B, 3, 3\).*\(4, 8\)"),
        (lambda: tps_grid(torch.zeros(4, 9), torch.zeros(9, 3, 3)), r"\(B, 9, 2\).*\(4, 9\)"),
        (lambda: affine_grid(torch.zeros(4, 2, 3), (0, 3)), r"\(0, 3\)"),
        (lambda: affine_grid(torch.zeros(4, 2, 3), (3.5, 3)), r"\(3.5, 3\)"),
        (lambda: base_grid(2.0), "2.0"),
    ],
)
def test_wrong_shapes_are_named(call: Callable[[], Tensor], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    "targets", [[[0, 0], [1, 1], [2, 2]], [[0, 0], [1, 0], [0, 1], [1, 0]], [[0, 0], [1, 1]]]
)
def test_control_points_that_determine_no_spline_are_refused(targets: list[list[int]]) -> None:
    with pytest.raises(ValueError, match="no spline: two coincide, or all lie on one line"):
        tps_basis(torch.tensor(targets), (3, 4))
