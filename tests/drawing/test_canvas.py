import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from stn.drawing.canvas import Canvas, text_width
from stn.drawing.tiles import BAD, GOOD, OUTLINE_COLOUR, TOP_COLOUR, tile
from stn.transformers import Affine, base_grid, outline


def pixels(canvas: Canvas) -> np.ndarray:
    """The picture (H, W, 3)."""
    figure = FigureCanvasAgg(canvas.figure)
    figure.draw()
    return np.asarray(figure.buffer_rgba())[..., :3].astype(int)


def is_near(drawn: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.abs(drawn - np.array(colour)).max(axis=-1) < 40


@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 28, 28), (2, 12, 4)])
def test_a_picture_is_the_tile_at_its_place(shape: tuple[int, int, int]) -> None:
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    canvas = Canvas(200, 150)
    canvas.picture(image, (30, 20), 84)
    drawn = pixels(canvas)
    assert drawn.shape == (150, 200, 3)
    difference = np.abs(drawn[20:104, 30:114] - np.asarray(tile(image, 84), int)).max(axis=2)
    assert (difference > 16).mean() < 0.06  # edges of the image's pixels
    drawn[20:104, 30:114] = 255
    assert (drawn == 255).all()


def test_lines_are_where_the_tile_has_them_and_end_at_the_margin() -> None:
    border = outline(Affine(), torch.tensor([[1.3, 0, 0, 0, 1.3, 0]]))[0]
    canvas = Canvas(180, 180)
    canvas.picture(torch.zeros(1, 12, 12), (30, 30), 120, 10, border)
    drawn = pixels(canvas)
    for colour, rows in ((TOP_COLOUR, range(10, 20)), (OUTLINE_COLOUR, range(160, 170))):
        assert not is_near(drawn, colour)[list(rows)].any()  # 1.3 is outside the margin
    canvas = Canvas(180, 180)
    canvas.picture(torch.zeros(1, 12, 12), (30, 30), 120, 30, border)
    drawn, reference = pixels(canvas), np.asarray(tile(torch.zeros(12, 12), 120, 30, border), int)
    for colour in (TOP_COLOUR, OUTLINE_COLOUR):
        ours, theirs = (np.argwhere(is_near(d, colour)) for d in (drawn, reference))
        for end in (np.min, np.max):
            assert np.abs(end(ours, axis=0) - end(theirs, axis=0)).max() <= 4
    assert is_near(drawn, TOP_COLOUR)[16:24, 60:120].any(axis=0).all()


def test_a_grid_of_the_identity_has_its_dots_at_the_centres_of_pixels() -> None:
    canvas = Canvas(140, 140)
    canvas.picture(torch.zeros(1, 4, 6), (10, 10), 120, grid=base_grid((4, 6)))
    drawn = pixels(canvas)  # 80 x 120, from (10, 30)
    is_dot = drawn.max(axis=2) > 150
    for row in range(4):
        for column in range(6):
            assert is_dot[30 + 20 * row + 10, 10 + 20 * column + 10]
    assert not is_dot[32:36, 12:16].any()
    assert tuple(drawn[40, 20]) != tuple(drawn[40, 120]) != tuple(drawn[100, 120])


def test_words_have_colours_and_are_aligned() -> None:
    canvas = Canvas(300, 80)
    canvas.write((150, 40), [("wrong ", BAD), ("right", GOOD)], 20, align=(0.5, 0.5))
    drawn = pixels(canvas)
    bad, good = (np.argwhere(is_near(drawn, colour))[:, 1] for colour in (BAD, GOOD))
    assert bad.max() < good.min()
    assert abs((bad.min() + good.max()) / 2 - 150) < 5
    assert good.max() - bad.min() == pytest.approx(text_width("wrong right", 20), rel=0.1)
