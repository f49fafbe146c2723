import torch

from stn.transformers import Projective, Transform, control_points, outline
from tests.transforms import every_transform, near_identity


@every_transform
def test_outline_runs_round_the_border(transform: Transform) -> None:
    theta = near_identity(transform)
    points = outline(transform, theta, num=6)
    assert points.shape == (3, 25, 2)
    grid = transform.grid(theta, (7, 7))
    corners = points[:, [0, 6, 12, 18, 24]]
    expected = torch.stack([grid[:, i, j] for i, j in [(0, 0), (0, 6), (6, 6), (6, 0), (0, 0)]], 1)
    torch.testing.assert_close(corners, expected)
    assert torch.unique(points[0, :-1], dim=0).shape == (24, 2)


@every_transform
def test_control_points_are_few_and_on_the_grid(transform: Transform) -> None:
    theta = near_identity(transform)
    points = control_points(transform, theta)
    rows, columns = getattr(transform, "points", (2, 2))
    expected = transform.grid(theta, (rows, columns)).flatten(1, 2)
    torch.testing.assert_close(points, expected, atol=1e-10, rtol=0)


def test_points_behind_the_horizon_are_not_drawn() -> None:
    theta = Projective().identity()[None].clone()
    theta[0, 6] = -1.5  # w = 1 - 1.5 x: the right edge is behind
    points = outline(Projective(), theta, num=4)[0]
    assert points[4:9].isnan().all()
    assert torch.isfinite(points[9:]).all()
    assert control_points(Projective(), theta).isnan().any(dim=2).tolist() == [[0, 1, 0, 1]]
