import pytest
import torch
from torch import nn

from stn.drawing.tiles import tile
from stn.drawing.warps import at_work, product, warp
from stn.models.mnist import Fcn, StFcn
from stn.transformers import (
    Affine,
    Projective,
    Similarity,
    SpatialTransformer,
    ThinPlateSpline,
    Transform,
)

SIZE = (20, 28)


@pytest.mark.parametrize(
    ("transform", "num_points"),
    [(Affine(), 4), (Projective(), 4), (ThinPlateSpline(), 16), (ThinPlateSpline((3, 5)), 15)],
)
def test_a_warp_has_all_that_is_drawn(transform: Transform, num_points: int) -> None:
    transformer = StFcn((1, *SIZE), 10, 4, transform, output_size=(30, 14)).transformer
    U = torch.rand(3, 1, *SIZE, generator=torch.Generator().manual_seed(0))
    drawn = warp(transformer, U)
    assert len(drawn) == 3
    assert drawn.V.shape == (3, 1, 30, 14)
    assert drawn.points.shape == (3, num_points, 2)
    assert drawn.outlines.abs().max() == pytest.approx(1)  # the identity, before training
    before, marked, after = drawn.tiles(1, side_px=40, margin_px=6)
    assert before == tile(U[1, 0], 40, 6)
    assert after == tile(drawn.V[1, 0], 40, 6)
    assert marked != before
    assert marked.size == before.size


def test_a_given_theta_is_used() -> None:
    transformer = StFcn((1, *SIZE), 10, 4, Affine()).transformer
    U = torch.rand(2, 1, *SIZE)
    mirror = torch.tensor([[-1.0, 0, 0, 0, 1, 0]]).repeat(2, 1)
    assert torch.allclose(warp(transformer, U, mirror).V, U.flip(-1), atol=1e-5)


def test_transformers_are_found_in_the_order_of_their_work() -> None:
    first, second = (StFcn((1, *SIZE), 10, 4, t).transformer for t in (Affine(), Projective()))
    network = nn.ModuleDict({"b": second, "a": first})
    U = torch.rand(2, 1, *SIZE)
    network.forward = lambda U: second(first(U) + 1)  # type: ignore[method-assign]
    found = at_work(network, U)
    assert [layer for layer, *_ in found] == [first, second]
    assert torch.equal(found[0][1], U)
    torch.testing.assert_close(found[1][1], U + 1)
    assert not first._forward_pre_hooks
    assert at_work(Fcn((1, *SIZE), 10, 4), U) == []


class Given(nn.Module):
    """Finds the same theta in all images."""

    def __init__(self, theta: torch.Tensor) -> None:
        super().__init__()
        self.found = theta

    def forward(self, U: torch.Tensor) -> torch.Tensor:
        return self.found


def test_the_product_leads_from_the_last_output_to_the_image() -> None:
    random = torch.Generator().manual_seed(0)
    wanted = torch.randn(2, 5, 6, generator=random).double() * 0.2 + Affine().identity()
    layers = [SpatialTransformer(Given(theta), Affine()) for theta in wanted]
    network = nn.Sequential(layers[0], nn.ReLU(), layers[1])
    maps = product(network, torch.rand(5, 1, *SIZE, dtype=torch.float64))
    assert maps is not None
    points = torch.rand(5, 7, 2, generator=random).double()
    reached = points
    for theta in wanted.flip(0):  # the last output is read of the first
        A = theta.view(5, 2, 3)
        reached = torch.einsum("bij,bnj->bni", A[:, :, :2], reached) + A[:, None, :, 2]
    ours = torch.einsum("bij,bnj->bni", maps[:, :, :2], points) + maps[:, None, :, 2]
    torch.testing.assert_close(ours, reached)


def test_only_affine_maps_have_a_product() -> None:
    U = torch.rand(2, 1, *SIZE)
    assert product(Fcn((1, *SIZE), 10, 4), U) is None
    assert product(StFcn((1, *SIZE), 10, 4, Projective()), U) is None
    maps = product(StFcn((1, *SIZE), 10, 4, Similarity()), U)
    torch.testing.assert_close(maps, torch.eye(2, 3).expand(2, 2, 3))
