import numpy as np
import pytest
import torch
from PIL import Image

from stn.drawing.paper_figures import _spread, film, grid_sheet, module_sheet
from stn.drawing.tiles import BAD, GOOD
from stn.drawing.warps import warp
from stn.models.mnist import StFcn
from stn.transformers import Affine, base_grid, sample
from tests.drawing.test_canvas import is_near, pixels


def test_figure_1_tells_right_from_wrong() -> None:
    U = torch.rand(2, 1, 20, 28, generator=torch.Generator().manual_seed(0))
    network = StFcn((1, 20, 28), 10, 4, Affine(), output_size=(14, 14))
    probabilities = torch.tensor([[0.1, 0.2, 0.7, 0.0], [0.6, 0.3, 0.1, 0.0]])
    drawn = warp(network.transformer, U)
    right = pixels(module_sheet("t", "s", drawn, probabilities, torch.tensor([2, 0])))
    assert is_near(right, GOOD).any()
    assert not is_near(right, BAD).any()
    wrong = pixels(module_sheet("t", "s", drawn, probabilities, torch.tensor([3, 3])))
    assert is_near(wrong, BAD).any()
    assert not is_near(wrong, GOOD).any()


def test_figure_3_has_the_same_dots_over_u_and_v() -> None:
    theta = torch.tensor([[0.5, 0, 0.5, 0, 0.5, 0.5]])
    U, size = torch.zeros(1, 1, 20, 30), (20, 30)
    grid = Affine().grid(theta, size)
    warps = [("same", base_grid(size), U[0]), ("half", grid[0], sample(U, grid)[0])]
    one, two = (pixels(grid_sheet("t", "s", U[0], warps[:num])) for num in (1, 2))
    assert two.shape[1] == 2 * one.shape[1]
    sets = [{tuple(c) for c in two[:, h].reshape(-1, 3)} for h in (slice(400), slice(400, 800))]
    shades = [{c for c in found if max(c) - min(c) > 100} for found in sets]
    assert shades[0] & shades[1]


@pytest.mark.parametrize("num", [1, 2, 9, 28, 42, 84])
def test_the_first_and_the_last_pixel_are_among_the_chosen(num: int) -> None:
    chosen = _spread(num).tolist()
    assert chosen == sorted(set(chosen))
    assert {0, num - 1} >= {chosen[0], chosen[-1]}
    assert len(chosen) <= 16


def test_a_film_keeps_the_panels_and_moves_its_bar() -> None:
    panels = [Image.new("RGB", (450, 60), colour) for colour in ("red", "blue")]
    frames = film("title", [(0.0, "first", panels[0]), (1.0, "last", panels[1])])
    drawn = [np.asarray(frame.convert("RGB"), int) for frame in frames]
    assert [d.shape for d in drawn] == [(186, 900, 3)] * 2
    assert is_near(drawn[1][70:180], (0, 0, 255)).all()
    assert not is_near(drawn[0][60], GOOD)[100:].any()
    assert is_near(drawn[1][60], GOOD)[20:880].all()
