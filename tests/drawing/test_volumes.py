import pytest
import torch

from stn.drawing.tiles import tile
from stn.drawing.volumes import in_front, in_three_views, three_views
from stn.drawing.warps import warp
from stn.transformers import Affine3d, SpatialTransformer, regression_layer

SIZE = (4, 5, 7)


@pytest.mark.parametrize("place", [(0, 0, 0), (3, 4, 6), (1, 3, 2)])
def test_a_voxel_is_seen_in_three_views_and_found_there(place: tuple[int, int, int]) -> None:
    V = torch.zeros(2, 1, *SIZE)
    V[1, 0][place] = 0.25
    sheet = three_views(V)[1, 0]
    assert sheet.shape == (5 + 1 + 4, 7 + 1 + 4)
    white = (sheet == 1).nonzero().tolist()
    z, y, x = place
    assert sorted(white) == sorted([[y, x], [y, 8 + z], [6 + z, x]])
    sides = torch.tensor([6.0, 4.0, 3.0])
    point = (2 * torch.tensor([x, y, z]) / sides - 1).view(1, 1, 3)
    found = (in_three_views(point, SIZE)[0] + 1) / 2 * torch.tensor([11.0, 9.0])
    torch.testing.assert_close(found.flip(1).sort(0)[0], torch.tensor(white).float().sort(0)[0])
    torch.testing.assert_close(in_front(point, SIZE)[0, 0], in_three_views(point, SIZE)[0, 0])


def test_a_view_is_a_sum_and_channels_are_kept() -> None:
    V = torch.rand(3, 2, *SIZE)
    sheet = three_views(V)
    scale = (sheet[:, :, :5, :7] / V.sum(dim=2)).flatten(1)
    torch.testing.assert_close(scale, scale[:, :1].expand_as(scale))
    torch.testing.assert_close(sheet[:, :, :5, 8:].mT, V.sum(dim=4) * scale[:, 0].view(-1, 1, 1, 1))
    assert not torch.equal(sheet[:, 0], sheet[:, 1])
    assert three_views(torch.zeros(1, 1, *SIZE)).max() == pytest.approx(0.3)  # the lines between


def test_a_warp_of_volumes_is_drawn_like_one_of_images() -> None:
    localisation = torch.nn.Sequential(torch.nn.Flatten(), regression_layer(140, Affine3d()))
    transformer = SpatialTransformer(localisation, Affine3d(), (3, 6, 5))
    U = torch.rand(2, 1, *SIZE)
    drawn = warp(transformer, U)
    assert torch.equal(drawn.U, three_views(U))
    assert torch.equal(drawn.V, three_views(transformer(U)))
    assert (
        drawn.outlines.amax(dim=1).tolist() == [[pytest.approx(1 / 11), pytest.approx(-1 / 9)]] * 2
    )
    assert drawn.outlines.amin() == -1
    assert drawn.points.shape == (2, 6, 2)
    before, marked, after = drawn.tiles(1, side_px=40, margin_px=6)
    assert before == tile(drawn.U[1, 0], 40, 6)
    assert marked != before
    assert after == tile(drawn.V[1, 0], 40, 6)
