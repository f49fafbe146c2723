import copy
import math
import pickle
import re
from pathlib import Path

import pytest
import torch
import yaml

from stn.running.building import instantiate
from stn.transformers import (
    Affine,
    Attention,
    Diffeomorphic,
    PiecewiseAffine,
    Projective,
    Rotation,
    Similarity,
    ThinPlateSpline,
    Transform,
    Translation,
    base_grid,
    control_points,
    sample,
)
from tests.transforms import CONFIGURED, OF_VOLUMES, TRANSFORMS, every_transform, near_identity

CONF = sorted((Path(__file__).parents[2] / "conf" / "transform").glob("*.yaml"))


@every_transform
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(5, 8), (1, 4), (1, 1)])
def test_identity_is_the_base_grid(
    transform: Transform, dtype: torch.dtype, size: tuple[int, int]
) -> None:
    identity = transform.identity()
    assert identity.shape == (transform.num_params,)
    grid = transform.grid(identity.to(dtype).expand(2, -1), size)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert torch.equal(grid, base_grid(size, wide).expand(2, -1, -1, -1))


@every_transform
def test_gradient(transform: Transform) -> None:
    theta = near_identity(transform, batch=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda theta: transform.grid(theta, (3, 4)), theta)


@every_transform
def test_images_of_a_batch_do_not_mix(transform: Transform) -> None:
    theta = near_identity(transform)
    alone = torch.cat([transform.grid(row[None], (4, 5)) for row in theta])
    torch.testing.assert_close(transform.grid(theta, (4, 5)), alone)
    assert transform.grid(theta[:0], (4, 5)).shape == (0, 4, 5, 2)


@every_transform
def test_theta_need_not_be_contiguous_and_is_not_modified(transform: Transform) -> None:
    theta = near_identity(transform)
    before = theta.clone()
    strided = theta.T.contiguous().T
    torch.testing.assert_close(transform.grid(strided, (4, 5)), transform.grid(theta, (4, 5)))
    assert torch.equal(theta, before)


@every_transform
def test_copies_are_equal(transform: Transform) -> None:
    transform.grid(near_identity(transform), (4, 5))
    assert copy.deepcopy(transform) == transform
    assert pickle.loads(pickle.dumps(transform)) == transform
    assert len(pickle.dumps(transform)) < 500


@every_transform
def test_a_wrong_theta_is_answered_with_both_shapes(transform: Transform) -> None:
    for shape in [(3, transform.num_params + 1), (transform.num_params,)]:
        words = rf"\(B, {transform.num_params}\).*{re.escape(str(shape))}"
        with pytest.raises(ValueError, match=words):
            transform.grid(torch.zeros(shape), (4, 5))


@every_transform
def test_one_number_is_a_square_target_and_no_other_size_is_taken(transform: Transform) -> None:
    theta = near_identity(transform)
    assert torch.equal(transform.grid(theta, 5), transform.grid(theta, (5, 5)))
    for size in (2.5, (3.5, 4), (3, 4, 5), "34", (0, 3), None):
        with pytest.raises(ValueError, match=r"output_size must be 2 whole numbers \(H, W\)"):
            transform.grid(theta, size)


# One shape of a family is enough, and two steps of a flow: more are only unrolled.
TO_COMPILE = {type(transform): transform for transform in reversed(TRANSFORMS)}
TO_COMPILE[Diffeomorphic] = Diffeomorphic((4, 4), 2)


@pytest.mark.parametrize("transform", TO_COMPILE.values(), ids=str)
def test_grid_compiles_whole(transform: Transform) -> None:
    torch.compiler.reset()  # or the ninth family meets dynamo's limit of recompilations
    theta = near_identity(transform).requires_grad_()
    compiled = torch.compile(
        lambda theta: transform.grid(theta, (4, 5)), backend="aot_eager", fullgraph=True
    )
    (found, of_found), (wanted, of_wanted) = (
        (grid, *torch.autograd.grad(grid.square().sum(), theta))
        for grid in (compiled(theta), transform.grid(theta, (4, 5)))
    )
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(of_found, of_wanted)


@pytest.mark.parametrize(
    ("transform", "theta", "matrix"),
    [
        (Translation(), [0.3, -0.2], [[1, 0, 0.3], [0, 1, -0.2]]),
        (Attention(), [0.5, 0.3, -0.2], [[0.5, 0, 0.3], [0, 0.5, -0.2]]),
        (Rotation(), [math.pi / 6], [[0.75**0.5, -0.5, 0], [0.5, 0.75**0.5, 0]]),
        (Similarity(), [0.6, 0.8, 0.3, -0.2], [[0.6, -0.8, 0.3], [0.8, 0.6, -0.2]]),
        (Affine(), [1, 2, 3, 4, 5, 6], [[1, 2, 3], [4, 5, 6]]),
    ],
    ids=str,
)
def test_matrices(transform, theta: list[float], matrix: list[list[float]]) -> None:
    found = transform.matrix(torch.tensor([theta], dtype=torch.float64))[0]
    torch.testing.assert_close(found, torch.tensor(matrix, dtype=torch.float64))


SPLINE, TRIANGLES = ThinPlateSpline((3, 4)), PiecewiseAffine((3, 4))


@pytest.mark.parametrize("transform", [Projective(), SPLINE, TRIANGLES], ids=str)
def test_affine_is_a_special_case(transform: Transform) -> None:
    theta = near_identity(Affine())
    if transform != Projective():
        targets = transform.targets()
        moved = targets @ theta.view(-1, 2, 3)[:, :, :2].mT + theta.view(-1, 2, 3)[:, None, :, 2]
        special = (moved - targets).flatten(1)
    else:
        special = torch.cat([theta, torch.zeros(3, 2)], dim=1)
    grid = transform.grid(special, (6, 7))
    torch.testing.assert_close(grid, Affine().grid(theta, (6, 7)), atol=1e-10, rtol=0)


def test_translation_moves_the_content_the_other_way() -> None:
    U = torch.rand(1, 1, 4, 5)
    one_pixel = torch.tensor([[2 / 4, 0.0]])
    V = sample(U, Translation().grid(one_pixel, (4, 5)))
    torch.testing.assert_close(V[..., :-1], U[..., 1:])
    assert (V[..., -1] == 0).all()


def test_a_quarter_turn_turns_the_content_anticlockwise() -> None:
    U = torch.rand(1, 1, 5, 5)
    V = sample(U, Rotation().grid(torch.tensor([[math.pi / 2]]), (5, 5)))
    torch.testing.assert_close(V, torch.rot90(U, 1, (2, 3)), atol=1e-5, rtol=0)


by_points = pytest.mark.parametrize("family", [ThinPlateSpline, PiecewiseAffine])


@by_points
@pytest.mark.parametrize("points", [(4, 4), (2, 5), (3, 2)])
def test_control_points_are_carried(family, points: tuple[int, int]) -> None:
    """Sampled at its control points, the warp is where `control_points` says."""
    transform = family(points)
    theta = near_identity(transform)
    grid = transform.grid(theta, points)
    carried = control_points(transform, theta)
    torch.testing.assert_close(grid.flatten(1, 2), carried, atol=1e-10, rtol=0)
    offsets = theta.view(3, -1, 2)
    torch.testing.assert_close(carried, base_grid(points, torch.float64).view(-1, 2) + offsets)


@by_points
@pytest.mark.parametrize("points", [(1, 4), (3, 0), 1, (4, 4, 4), (3.5, 4), "44"])
def test_two_rows_and_columns_are_needed(family, points) -> None:
    words = rf"points of {family.__name__} must be 2 whole numbers .* from 2 up"
    with pytest.raises(ValueError, match=words):
        family(points)


@by_points
def test_one_number_of_points_stands_for_rows_and_columns(family) -> None:
    assert family(3) == family((3, 3)) == family([3, 3])


@by_points
def test_what_evaluation_leaves_behind_serves_training(family) -> None:
    """The basis is remembered; one made in inference mode must not reach autograd."""
    transform, theta = family((3, 3)), torch.zeros(1, 18, requires_grad=True)
    with torch.inference_mode():
        transform.grid(theta, (11, 13))
    transform.grid(theta, (11, 13)).square().sum().backward()
    assert torch.isfinite(theta.grad).all()


@by_points
def test_coordinates_keep_their_digits_under_autocast(family) -> None:
    transform = family()
    theta = near_identity(transform).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        grid = transform.grid(theta, (5, 6))
    assert torch.equal(grid, transform.grid(theta, (5, 6)))


@pytest.mark.parametrize("path", CONF, ids=lambda path: path.stem)
def test_every_config_makes_a_transform(path: Path) -> None:
    config = yaml.safe_load(path.read_text())
    assert config["name"] == path.stem
    transform = instantiate(config["layer"])
    size = (3, 5) if transform not in OF_VOLUMES else (3, 5, 4)
    wanted = getattr(transform, "zoom", 1.0) * base_grid(size)[None]
    assert torch.equal(transform.grid(transform.identity()[None], size), wanted)


def test_every_transform_has_a_config() -> None:
    configured = {instantiate(yaml.safe_load(path.read_text())["layer"]) for path in CONF}
    assert configured == {*CONFIGURED, *OF_VOLUMES, Translation(zoom=0.5)}


@pytest.mark.parametrize("zoom", [0.5, -2.0])
def test_a_zoom_stands_in_place_of_one(zoom: float) -> None:
    theta = torch.tensor([[0.3, -0.4], [1.0, 0.0]])
    same = torch.cat([torch.full((2, 1), zoom), theta], dim=1)
    assert torch.equal(Translation(zoom=zoom).grid(theta, (4, 7)), Attention().grid(same, (4, 7)))


@pytest.mark.parametrize("zoom", [0.0, float("nan"), float("inf")])
def test_a_zoom_that_cannot_be_is_refused(zoom: float) -> None:
    with pytest.raises(ValueError, match="zoom must be finite and not 0"):
        Translation(zoom=zoom)
