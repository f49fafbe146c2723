import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stn.drawing.tiles import OUTLINE_COLOUR, PAPER, TOP_COLOUR, table_of, tile
from stn.transformers import Affine, outline

BLACK = (0, 0, 0)


def border(scale: float = 1.0, turn_deg: float = 0.0) -> Tensor:
    angle = torch.tensor(turn_deg).deg2rad()
    a, b = scale * angle.cos(), scale * angle.sin()
    return outline(Affine(), torch.stack([a, -b, a * 0, b, a, a * 0])[None])[0]


def colours(picture: Image.Image) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in np.asarray(picture).reshape(-1, 3).tolist()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_every_pixel_is_a_square_of_its_grey(dtype: torch.dtype) -> None:
    image = torch.rand(5, 7, generator=torch.Generator().manual_seed(0)).to(dtype)
    drawn = np.asarray(tile(image, side_px=42))[6:36, :, 0]  # 30 x 42 in the middle of 42 x 42
    expected = (image.double() * 255).round().numpy().repeat(6, 0).repeat(6, 1)
    assert np.abs(drawn - expected).max() <= 1


@pytest.mark.parametrize("num_channels", [1, 2, 3])
def test_channels_are_red_green_and_blue(num_channels: int) -> None:
    image = torch.rand(num_channels, 5, 7, generator=torch.Generator().manual_seed(0))
    drawn = np.asarray(tile(image, side_px=42))[6:36]
    expected = np.zeros((30, 42, 3))
    expected[..., : max(num_channels, 1)] = (
        (image * 255).round().numpy().repeat(6, 1).repeat(6, 2).transpose(1, 2, 0)
    )
    if num_channels == 1:
        expected[..., 1:] = expected[..., :1]
    assert np.abs(drawn - expected).max() <= 1


@pytest.mark.parametrize("shape", [(20, 40), (40, 20), (1, 9), (60, 60), (112, 84)])
def test_an_image_fills_its_square_and_keeps_its_proportions(shape: tuple[int, int]) -> None:
    picture = tile(torch.zeros(shape), side_px=72, margin_px=5)
    assert picture.size == (82, 82)
    dark = np.asarray(picture)[..., 0] < 128
    extents = dark.any(axis=1).sum(), dark.any(axis=0).sum()
    assert extents == tuple(round(72 * side / max(shape)) for side in shape)
    assert (dark == dark[::-1, ::-1]).all()  # in the middle


def test_values_out_of_range_are_black_or_white() -> None:
    assert colours(tile(torch.tensor([[-1.0, 3.0]]), 16)) == {BLACK, PAPER}


def test_the_identity_is_outlined_at_the_centres_of_the_border_pixels() -> None:
    picture = tile(torch.zeros(12, 12), 120, 10, border())
    for place, colour in (((70, 15), TOP_COLOUR), ((15, 70), OUTLINE_COLOUR)):
        assert picture.getpixel(place) == colour
    for place in ((70, 125), (125, 70)):
        assert picture.getpixel(place) == OUTLINE_COLOUR
    assert colours(picture.crop((20, 20, 120, 120))) == {BLACK}
    assert colours(picture.crop((0, 0, 140, 10))) == {PAPER}


def test_the_top_side_turns_with_the_grid() -> None:
    picture = tile(torch.zeros(12, 12), 120, 10, border(turn_deg=90))
    assert picture.getpixel((125, 70)) == TOP_COLOUR  # clockwise, as one looks at it
    assert picture.getpixel((70, 15)) == OUTLINE_COLOUR


def test_lines_go_on_outside_the_image() -> None:
    picture = tile(torch.zeros(12, 12), 120, 30, border(scale=1.3))
    assert OUTLINE_COLOUR in colours(picture.crop((0, 0, 29, 180)))
    assert TOP_COLOUR in colours(picture.crop((0, 0, 180, 29)))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_is_a_gap(value: float) -> None:
    line = border()
    bare = tile(torch.zeros(9, 9), 90)
    assert tile(torch.zeros(9, 9), 90, 0, line * torch.nan, line[:3] * torch.nan) == bare
    line[20] = value
    assert OUTLINE_COLOUR in colours(tile(torch.zeros(9, 9), 90, 0, line))


def test_far_away_is_no_trouble() -> None:
    tile(torch.zeros(9, 9), 90, 10, border(scale=9e5), border(scale=9e5)[:4])


def test_dots_are_where_the_points_are() -> None:
    points = torch.tensor([[-1.0, -1], [1, 1], [0, 0], [1.4, 0]], dtype=torch.float64)
    picture = tile(torch.zeros(6, 12), 120, 40, points=points)  # image: 120 x 60 px from (40, 70)
    for place in ((45, 75), (155, 125), (100, 100), (177, 100)):
        assert picture.getpixel(place) == OUTLINE_COLOUR
    assert picture.getpixel((72, 87)) == BLACK


def test_rows_of_tiles_are_put_below_each_other() -> None:
    black, white = tile(torch.zeros(4, 4), 20), tile(torch.ones(4, 4), 20)
    sheet = table_of([[black, white, black], [white, black, white]], gap_px=3)
    assert sheet.size == (3 * 23 + 3, 2 * 23 + 3)
    assert [sheet.getpixel((13 + 23 * i, 13)) for i in range(3)] == [BLACK, PAPER, BLACK]
    assert sheet.getpixel((36, 36)) == BLACK
