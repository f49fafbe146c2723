import pytest
import torch

from stn.transformers import (
    Affine,
    CubicSpline,
    Diffeomorphic,
    FourCorners,
    Projective,
    Translation,
    base_grid,
)
from tests.transforms import near_identity

SIZE = (5, 8)


def test_four_corners_are_the_homography_that_carries_them() -> None:
    theta = near_identity(FourCorners())
    corners = theta.new_tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]]) + theta.view(3, 4, 2)
    grid = FourCorners().grid(theta, SIZE)
    found = grid[:, [0, 0, -1, -1], [0, -1, -1, 0]]
    torch.testing.assert_close(found, corners, atol=1e-10, rtol=0)
    same = Projective.from_corners(corners)
    torch.testing.assert_close(grid, Projective().grid(same, SIZE), atol=1e-10, rtol=0)


@pytest.mark.parametrize("corners", [[[0, 0]] * 4, [[-1, 0], [0, 0], [1, 0], [2, 0]]])
def test_corners_without_an_area_have_finite_gradients(corners: list[list[float]]) -> None:
    square = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]])
    theta = (torch.tensor(corners) - square).view(1, 8).requires_grad_()
    grid = FourCorners().grid(theta, SIZE)
    grid.square().sum().backward()
    assert torch.isfinite(grid).all()
    assert torch.isfinite(theta.grad).all()


@pytest.mark.parametrize("points", [(2, 2), (3, 4), (6, 5)])
def test_every_affine_warp_is_a_cubic_spline(points: tuple[int, int]) -> None:
    transform, theta = CubicSpline(points), near_identity(Affine())
    A = theta.view(3, 2, 3)
    moved = transform.targets() @ A[:, :, :2].mT + A[:, None, :, 2]
    grid = transform.grid((moved - transform.targets()).flatten(1), SIZE)
    torch.testing.assert_close(grid, Affine().grid(theta, SIZE), atol=1e-10, rtol=0)


def test_a_coefficient_acts_nearby_only_and_smoothly() -> None:
    """The middle one of 7 reaches less than two spacings: the second derivative has no jump."""
    basis = CubicSpline((7, 7)).basis((61, 61))[3 * 7 + 3]  # ten pixels a spacing
    row = basis[30]
    assert (row[:11] == 0).all()
    assert (row[11:50] > 0).all()
    bend = torch.diff(row, n=2) * 100  # of the row, in spacings
    assert torch.diff(bend).abs().max() < 0.31  # at most 3 a spacing, a tenth of it a pixel
    torch.testing.assert_close(row[[20, 30, 40]] / row[30], torch.tensor([0.25, 1, 0.25]).double())


def test_control_points_of_a_cubic_spline_are_where_they_are_read() -> None:
    transform = CubicSpline((3, 4))
    theta = near_identity(transform)
    read = transform.grid(theta, (3, 4)).flatten(1, 2)
    torch.testing.assert_close(transform.sources(theta), read)
    assert not torch.allclose(read, transform.targets() + theta.view(3, -1, 2), atol=0.01)


@pytest.mark.parametrize("steps", [1, 4])
def test_a_flow_with_one_velocity_is_a_translation(steps: int) -> None:
    transform = Diffeomorphic((3, 4), steps)
    theta = torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    grid = transform.grid(theta.repeat(1, 12), SIZE)
    torch.testing.assert_close(grid, Translation().grid(theta, SIZE), atol=1e-10, rtol=0)


def test_a_flow_is_undone_by_the_opposite_one() -> None:
    transform = Diffeomorphic((4, 4), steps=32)
    theta = near_identity(transform, batch=1, spread=0.3)
    edge = torch.ones(4, 4, 2, dtype=torch.float64)
    edge[1:3, 1:3] = 0  # nothing moves at the border, so nothing leaves
    theta = theta * (1 - edge).view(1, -1)
    there = transform.grid(theta, (9, 9)).permute(0, 3, 1, 2)
    place, steps = transform.grid(-theta, SIZE), 32
    velocity = theta.view(1, 4, 4, 2).permute(0, 3, 1, 2)
    for _ in range(steps):  # and from there along the flow again, by the same rule written out
        half = place + _at(velocity, place) / (2 * steps)
        place = place + _at(velocity, half) / steps
    assert (there - base_grid((9, 9), torch.float64).permute(2, 0, 1)).abs().max() > 0.05
    torch.testing.assert_close(place[0], base_grid(SIZE, torch.float64), atol=1e-3, rtol=0)


def _at(velocity: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    found = torch.nn.functional.grid_sample(
        velocity, place, padding_mode="border", align_corners=True
    )
    return found.permute(0, 2, 3, 1)


def test_a_flow_does_not_fold_where_offsets_of_the_same_size_do() -> None:
    theta = torch.zeros(1, 2, 4, 2, dtype=torch.float64)
    theta[0, :, 1, 0], theta[0, :, 2, 0] = 1.0, -1.0  # the two inner columns change places
    flow = Diffeomorphic((2, 4), steps=64).grid(theta.flatten(1), (3, 50))
    offset = CubicSpline((2, 4)).grid(2 * theta.flatten(1), (3, 50))
    assert (torch.diff(flow[..., 0], dim=2) > 0).all()
    assert (torch.diff(offset[..., 0], dim=2) < 0).any()


@pytest.mark.parametrize("steps", [0, 1.5, True])
def test_a_flow_has_steps(steps: object) -> None:
    with pytest.raises(ValueError, match="steps must be a whole number from 1 up"):
        Diffeomorphic((4, 4), steps)  # type: ignore[arg-type]
