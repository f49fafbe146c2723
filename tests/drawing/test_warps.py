import pytest
import torch
from torch import nn

from stn.drawing.tiles import tile
from stn.drawing.warps import at_work, warp
from stn.models.mnist import Fcn, StFcn
from stn.transformers import Affine, Projective, ThinPlateSpline, Transform

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
    seen = torch.rand(2, 1, *SIZE)
    calls = (
        lambda U: first(U, seen),
        lambda U: first(U, seen=seen),
        lambda U: first(seen=seen, U=U),
    )
    for call in calls:
        network.forward = call  # type: ignore[method-assign]
        ((layer, maps, theta),) = at_work(network, U)
        assert layer is first
        assert maps is U
        assert torch.equal(theta, first.theta(seen))
    assert at_work(Fcn((1, *SIZE), 10, 4), U) == []
