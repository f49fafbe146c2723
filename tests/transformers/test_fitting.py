import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kornia.geometry.transform import get_perspective_transform
from scipy.interpolate import RBFInterpolator
from torch import Tensor

from stn.transformers import Projective, ThinPlateSpline, base_grid, projective_grid, sample

CORNERS = torch.tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]]).double()


def noise(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def carried(theta: Tensor, points: Tensor) -> Tensor:
    """Where homographies (B, 8) carry points (B, N, 2)."""
    matrix = torch.cat([theta, torch.ones_like(theta[:, :1])], dim=1).view(-1, 3, 3)
    u_v_w = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1) @ matrix.mT
    return u_v_w[..., :2] / u_v_w[..., 2:]


@pytest.mark.parametrize("seed", range(5))
def test_a_homography_carries_corners_and_is_kornias(seed: int) -> None:
    source = CORNERS + 0.3 * noise(3, 4, 2, seed=seed)
    target = 0.8 * CORNERS + 0.1 * noise(3, 4, 2, seed=seed + 9)
    theta = Projective.from_corners(source, target)
    torch.testing.assert_close(carried(theta, target), source, atol=1e-10, rtol=0)
    expected = get_perspective_transform(target, source).flatten(1)
    torch.testing.assert_close(theta, expected[:, :8] / expected[:, 8:], atol=1e-10, rtol=0)


def test_corners_of_the_output_are_meant_where_none_are_given() -> None:
    source = CORNERS + 0.2 * noise(2, 4, 2)
    grid = Projective().grid(Projective.from_corners(source), (5, 8))
    found = torch.stack([grid[:, 0, 0], grid[:, 0, -1], grid[:, -1, -1], grid[:, -1, 0]], dim=1)
    torch.testing.assert_close(found, source, atol=1e-10, rtol=0)


def test_a_document_is_laid_flat() -> None:
    """What a warp by corners shows, the warp by the same corners exchanged shows as it was."""
    source = (CORNERS + 0.2 * noise(1, 4, 2)).expand(2, -1, -1)
    there, back = Projective.from_corners(source), Projective.from_corners(CORNERS[None], source)
    both = carried(back, carried(there, CORNERS[None] * 0.5))
    torch.testing.assert_close(both, (CORNERS * 0.5).expand(2, -1, -1), atol=1e-10, rtol=0)


@pytest.mark.parametrize("num", [3, 4, 11])
def test_a_spline_is_scipys_for_every_sample(num: int) -> None:
    source, target = noise(3, num, 2), noise(3, num, 2, seed=1)
    grid = ThinPlateSpline.from_points(source, target, (5, 8))
    assert grid.shape == (3, 5, 8, 2)
    pixels = base_grid((5, 8), torch.float64).reshape(-1, 2)
    for i in range(3):
        spline = RBFInterpolator(target[i], source[i], kernel="thin_plate_spline", degree=1)
        expected = torch.from_numpy(spline(pixels)).view(5, 8, 2)
        torch.testing.assert_close(grid[i], expected, atol=1e-9, rtol=1e-9)


def test_points_on_the_control_points_give_the_spline_of_the_layer() -> None:
    transform = ThinPlateSpline((3, 4))
    offsets = 0.2 * noise(2, 12, 2)
    grid = ThinPlateSpline.from_points(
        transform.targets() + offsets, transform.targets()[None], (6, 7)
    )
    expected = transform.grid(offsets.flatten(1), (6, 7))
    torch.testing.assert_close(grid, expected, atol=1e-10, rtol=0)


def test_points_that_stay_leave_the_regular_grid_exactly() -> None:
    points = noise(20, 9, 2).float()
    grid = ThinPlateSpline.from_points(points, points, (5, 7))
    assert torch.equal(grid, base_grid((5, 7)).expand(20, -1, -1, -1))


def test_gradients_of_fits() -> None:
    source, target = CORNERS + 0.2 * noise(2, 4, 2), CORNERS + 0.2 * noise(2, 4, 2, seed=1)
    source.requires_grad_()
    target.requires_grad_()
    assert torch.autograd.gradcheck(Projective.from_corners, (source, target))
    assert torch.autograd.gradcheck(
        lambda source, target: ThinPlateSpline.from_points(source, target, (3, 4)),
        (source, target),
    )


LINE = torch.linspace(-1, 1, 4).double()[:, None] * torch.tensor([0.7, 0.3]).double() + 0.1
BOW_TIE = CORNERS[[0, 2, 1, 3]]
TWINS = CORNERS[[0, 1, 2, 2]]
ON_TOP = torch.cat([CORNERS[:2], torch.tensor([[0.0, -1.0], [-1.0, 1.0]])])


@pytest.mark.parametrize("bad", [LINE, BOW_TIE, TWINS, ON_TOP, 0 * CORNERS, torch.nan * CORNERS])
@pytest.mark.parametrize("is_source", [True, False])
def test_four_points_that_no_homography_carries_are_refused(bad: Tensor, is_source: bool) -> None:
    good = torch.stack([CORNERS, CORNERS, CORNERS])
    mixed = torch.stack([CORNERS, bad, CORNERS])
    pair = (mixed, good) if is_source else (good, mixed)
    with pytest.raises(ValueError, match=r"no homography .* \(sample 1 of 3\)$"):
        Projective.from_corners(*pair)


@pytest.mark.parametrize("bad", [LINE, TWINS, 0 * CORNERS, torch.nan * CORNERS])
def test_points_that_determine_no_spline_are_refused(bad: Tensor) -> None:
    target = torch.stack([CORNERS, bad.to(CORNERS)])
    with pytest.raises(ValueError, match=r"no spline: .* \(sample 1 of 2\)$"):
        ThinPlateSpline.from_points(torch.zeros_like(target), target, (3, 3))


def test_a_collapsed_source_is_a_warp() -> None:
    """Only the target's layout can be singular for a spline: everything may show one place."""
    grid = ThinPlateSpline.from_points(0 * CORNERS[None] + 0.3, CORNERS[None], (3, 5))
    torch.testing.assert_close(grid, torch.full((1, 3, 5, 2), 0.3).double())


@pytest.mark.parametrize(
    "shapes", [((2, 3, 2), (2, 3, 2)), ((4, 2), (4, 2)), ((2, 5, 2), (2, 4, 2))]
)
def test_wrong_shapes_are_named(shapes) -> None:
    source, target = (torch.rand(shape) for shape in shapes)
    with pytest.raises(ValueError, match=r"\(B, 4, 2\)"):
        Projective.from_corners(source, target)
    if shapes[0] != (2, 3, 2):
        with pytest.raises(ValueError, match=r"\(B, K >= 3, 2\)"):
            ThinPlateSpline.from_points(source, target, (3, 3))


@given(seed=st.integers(0, 10_000), spread=st.floats(0, 3))
@settings(max_examples=60, deadline=None)
def test_any_four_points_are_carried_in_single_precision_or_refused(
    seed: int, spread: float
) -> None:
    source = (CORNERS + spread * noise(1, 4, 2, seed=seed)).float()
    try:
        theta = Projective.from_corners(source)
    except ValueError:
        return
    matrix = torch.cat([theta, torch.ones(1, 1)], dim=1).view(1, 3, 3)
    grid = projective_grid(matrix, (2, 2)).flatten(1, 2)[:, [0, 1, 3, 2]]
    torch.testing.assert_close(grid, source, atol=2e-3, rtol=2e-3)


def test_a_batch_of_splines_takes_milliseconds() -> None:
    """256 of 16 points on 28 x 28: some 8 ms on one core; a loop over the samples takes 100."""
    source, target = noise(256, 16, 2).float(), noise(256, 16, 2, seed=1).float()
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        ThinPlateSpline.from_points(source, target, (28, 28))
        best = min(best, time.perf_counter() - start)
    assert best < 0.1


def test_the_grid_reads_what_the_points_say() -> None:
    """A dot at each source point shows at the target's."""
    U = torch.zeros(1, 1, 21, 31)
    U[0, 0, 4, 9] = U[0, 0, 15, 22] = U[0, 0, 16, 6] = 1
    source = torch.tensor([[[9, 4], [22, 15], [6, 16]]]) / torch.tensor([15, 10]) - 1
    target = torch.tensor([[[8, 6], [20, 12], [10, 18]]]) / torch.tensor([15, 10]) - 1
    V = sample(U, ThinPlateSpline.from_points(source, target, (21, 31)))
    assert torch.stack([V[0, 0, 6, 8], V[0, 0, 12, 20], V[0, 0, 18, 10]]).min() > 0.98
