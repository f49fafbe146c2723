import pytest
import torch

from stn.drawing.tiles import tile
from stn.drawing.warps import first_transformer, transformers_of_images, warp
from stn.models.mnist import Fcn, StFcn
from stn.transformers import Affine, Projective, ThinPlateSpline, Transform

SIZE = (20, 28)


@pytest.mark.parametrize(
    ("transform", "num_points"),
    [(Affine(), 4), (Projective(), 4), (ThinPlateSpline(), 16), (ThinPlateSpline((3, 5)), 15)],
)
def test_a_warp_has_all_that_is_drawn(transform: Transform, num_points: int) -> None:
    transformer = first_transformer(StFcn(SIZE, 4, transform, (30, 14)))
    assert transformer is not None
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
    transformer = first_transformer(StFcn(SIZE, 4, Affine(), SIZE))
    assert transformer is not None
    U = torch.rand(2, 1, *SIZE)
    mirror = torch.tensor([[-1.0, 0, 0, 0, 1, 0]]).repeat(2, 1)
    assert torch.allclose(warp(transformer, U, mirror).V, U.flip(-1), atol=1e-5)


def test_a_network_without_a_transformer_has_none() -> None:
    assert first_transformer(Fcn(SIZE, 4)) is None


@pytest.mark.parametrize("channels", [1, 3])
def test_transformers_of_images_are_those_that_get_them(channels: int) -> None:
    network = StFcn(SIZE, 4, Affine(), (14, 14), in_channels=channels)
    U = torch.rand(2, channels, *SIZE)
    assert transformers_of_images(network, U) == [network.transformer]
    scaled = torch.nn.Sequential(torch.nn.MaxPool2d(1), torch.nn.Softsign(), network)
    assert transformers_of_images(scaled, U) == []
    assert transformers_of_images(Fcn(SIZE, 4, channels), U) == []
    assert not network.transformer._forward_pre_hooks
    assert warp(network.transformer, U).tiles(0, 40, 6)[0] == tile(U[0], 40, 6)
