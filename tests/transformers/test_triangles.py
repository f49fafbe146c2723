import pytest
import torch
from matplotlib.tri import LinearTriInterpolator, Triangulation

from stn.transformers import PiecewiseAffine, base_grid, triangle_basis
from tests.transforms import near_identity


def triangles(rows: int, columns: int) -> list[list[int]]:
    """Two a cell, split from its top left to its bottom right."""
    found = []
    for first in (r * columns + c for r in range(rows - 1) for c in range(columns - 1)):
        below = first + columns
        found += [[first, first + 1, below + 1], [first, below + 1, below]]
    return found


@pytest.mark.parametrize("points", [(4, 4), (2, 2), (3, 5)])
@pytest.mark.parametrize("size", [(9, 13), (8, 5), (1, 7)])
def test_it_is_matplotlibs_interpolation_over_triangles(points, size) -> None:
    transform = PiecewiseAffine(points)
    theta = near_identity(transform, batch=2)
    x, y = transform.targets().T.numpy()
    mesh = Triangulation(x, y, triangles(*points))
    regular = base_grid(size, torch.float64)
    grid = transform.grid(theta, size)
    for image, offsets in zip(grid, theta.view(2, -1, 2), strict=True):
        for axis in range(2):
            interpolator = LinearTriInterpolator(mesh, offsets[:, axis].numpy())
            moved = interpolator(*regular.unbind(-1)).filled(float("nan"))
            expected = regular[..., axis] + torch.from_numpy(moved)
            torch.testing.assert_close(image[..., axis], expected, atol=1e-12, rtol=0)


def test_weights_are_shares_of_at_most_three_points() -> None:
    basis = triangle_basis((3, 4), (17, 22))
    assert basis.min() >= 0
    torch.testing.assert_close(basis.sum(dim=0), torch.ones(17, 22).double(), atol=1e-15, rtol=0)
    assert (basis > 1e-12).sum(dim=0).max() == 3


def test_a_point_moves_the_triangles_round_it_alone() -> None:
    transform = PiecewiseAffine((4, 5))
    theta = torch.zeros(1, 40, dtype=torch.float64)
    theta[0, 0] = 0.3  # the top left corner, of two triangles in the first cell
    moved = (transform.grid(theta, (31, 41)) - base_grid((31, 41), torch.float64)).abs().sum(-1)[0]
    assert moved[:10, :10].all()
    assert not moved[10:].any()
    assert not moved[:, 10:].any()
