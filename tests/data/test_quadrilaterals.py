import torch

from stn.data.quadrilaterals import cross, quad_to_square, unfolded_share

SQUARE = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1]], dtype=torch.float64)


def random_quads(num: int, spread: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Corners of a square and random moves of them."""
    random = torch.Generator().manual_seed(0)
    moves = spread * torch.randn(num, 4, 2, generator=random, dtype=torch.float64)
    return SQUARE.expand(num, 4, 2), moves


def carry(homography: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    homogeneous = torch.cat([points, torch.ones_like(points[..., :1])], dim=-1)
    image = homogeneous @ homography.mT
    return image[..., :2] / image[..., 2:]


def triangles(quads: torch.Tensor) -> torch.Tensor:
    return cross(quads.roll(-1, 1) - quads, quads.roll(1, 1) - quads)


def test_a_homography_carries_the_corners_to_those_of_the_square():
    corners, moves = random_quads(500, 0.2)
    quads = corners + moves
    torch.testing.assert_close(carry(quad_to_square(quads), quads), corners.contiguous())


def test_the_denominator_is_positive_inside_and_one_at_the_first_corner():
    corners, moves = random_quads(500, 0.3)
    quads = corners + unfolded_share(corners, moves, 0.05)[:, None, None] * moves
    mixes = torch.rand(500, 20, 4, dtype=torch.float64).softmax(-1)
    w_row = quad_to_square(quads)[:, 2]
    inside = mixes @ quads
    w = (inside * w_row[:, None, :2]).sum(-1) + w_row[:, None, 2]
    assert (w > 0).all()
    first = (quads[:, 0] * w_row[:, :2]).sum(-1) + w_row[:, 2]
    torch.testing.assert_close(first, torch.ones_like(first))


def test_parallelograms_give_affine_maps_and_the_square_the_identity():
    _, moves = random_quads(50, 0.2)
    affine = torch.eye(2, dtype=torch.float64) + moves[:, :2]
    homography = quad_to_square(SQUARE @ affine.mT + moves[:, 2:3])
    torch.testing.assert_close(
        homography[:, 2], torch.tensor([[0.0, 0, 1]], dtype=torch.float64).expand(50, 3)
    )
    torch.testing.assert_close(homography[:, :2, :2], torch.linalg.inv(affine))
    identity = torch.eye(3, dtype=torch.float64)[None]
    torch.testing.assert_close(quad_to_square(SQUARE[None]), identity)


def test_it_is_the_inverse_of_a_general_solution():
    corners, moves = random_quads(100, 0.2)
    homography = quad_to_square(corners + moves)
    forward = torch.linalg.inv(homography)
    torch.testing.assert_close(carry(forward, corners), corners + moves)


def test_moves_are_shortened_just_enough_and_only_where_they_must():
    corners, moves = random_quads(5000, 0.6)
    share = unfolded_share(corners, moves, 0.1)
    smallest = triangles(corners + share[:, None, None] * moves).amin(1) / 4
    assert (smallest > 0.1 - 1e-9).all()
    shortened = share < 1
    assert 0.1 < shortened.double().mean() < 0.9
    torch.testing.assert_close(smallest[shortened], torch.full_like(smallest[shortened], 0.1))
    # No smaller factor folds the quadrilateral either: the first root was the one found.
    for part in (0.25, 0.5, 0.75, 0.99):
        quads = corners + part * share[:, None, None] * moves
        assert (triangles(quads) / 4 > 0.1 - 1e-9).all()


def test_no_move_is_no_shortening():
    assert unfolded_share(SQUARE[None], torch.zeros_like(SQUARE)[None], 0.1).tolist() == [1]
    shift = torch.ones_like(SQUARE)[None]
    assert unfolded_share(SQUARE[None], 100 * shift, 0.1).tolist() == [1]


def test_a_corner_pulled_through_its_diagonal_is_stopped_before():
    moves = torch.zeros_like(SQUARE)[None].clone()
    moves[0, 0] = torch.tensor([3.0, 3.0])  # the diagonal is 1 away in x and y
    torch.testing.assert_close(
        unfolded_share(SQUARE[None], moves, 0.1), torch.tensor([0.3], dtype=torch.float64)
    )
