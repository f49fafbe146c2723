import numpy as np
import pytest
import torch
from PIL import Image

from stn.drawing import sheets
from stn.drawing.canvas import Canvas
from stn.drawing.sheets import (
    ExampleRow,
    alignment_sheet,
    class_means,
    example_sheet,
    training_sheet,
)
from stn.drawing.warps import Warp, warp
from stn.models.mnist import StFcn
from stn.transformers import ThinPlateSpline
from tests.drawing.test_canvas import pixels as drawn


def example_row(num: int, seed: int = 0) -> ExampleRow:
    random = torch.Generator().manual_seed(seed)
    transformer = StFcn((1, 20, 28), 10, 4, ThinPlateSpline(), output_size=(14, 14)).transformer
    warped: Warp = warp(transformer, torch.rand(num, 1, 20, 28, generator=random))
    labels = torch.randint(0, 10, (num,), generator=random)
    return ExampleRow("ST-CNN TPS", "error 0.50 %", warped, torch.arange(num), labels, labels + 1)


def pixels(sheet: Canvas) -> Image.Image:
    return Image.fromarray(drawn(sheet).astype(np.uint8))


def test_a_sheet_shows_input_grid_and_output() -> None:
    row = example_row(2)
    sheet = pixels(example_sheet("title", "subtitle", ("CNN", "ST-CNN"), [row]))
    top = sheets.EDGE_PX + int(4.8 * sheets.LINE_PX) + sheets.MARGIN_PX
    for i in range(2):
        for j, tile in enumerate(row.warp.tiles(i, sheets.SIDE_PX, 0)):
            left = sheets.EDGE_PX + sheets.LABEL_PX + i * sheets.STEP_PX + j * sheets.TILE_STEP_PX
            shown = sheet.crop((left, top, left + sheets.SIDE_PX, top + sheets.SIDE_PX))
            difference = np.abs(np.asarray(shown, float) - np.asarray(tile, float))
            assert (difference > 16).any(axis=2).mean() < (0.15 if j == 1 else 0.02)  # lines differ


def test_rows_may_have_fewer_digits_than_others() -> None:
    one = example_sheet("title", "subtitle", ("CNN", "ST-CNN"), [example_row(3)])
    two = example_sheet("title", "subtitle", ("CNN", "ST-CNN"), [example_row(3), example_row(1)])
    assert two.width == one.width
    assert two.height > one.height + sheets.SIDE_PX


def test_a_long_title_makes_the_sheet_wider() -> None:
    short, long = (
        alignment_sheet("title" * num, "subtitle", [("input", "", torch.zeros(2, 9, 9))])
        for num in (1, 40)
    )
    assert long.width > short.width
    edge = pixels(long).crop((long.width - sheets.EDGE_PX + 2, 0, long.width, long.height))
    assert edge.getextrema() == ((255, 255),) * 3


def test_a_training_sheet_has_a_column_for_each_step_that_all_rows_have() -> None:
    first, second = (
        {step: torch.full((3, 40, 40), shade) for step in steps}
        for steps, shade in (((0, 5, 90), 0.2), ((0, 90), 0.6))
    )
    sheet = pixels(training_sheet("title", "subtitle", [("a", "", first), ("b", "", second)]))
    shades = [colour for _, colour in sheet.getcolors(sheet.width * sheet.height)]
    for shade in (51, 153):
        assert (shade,) * 3 in shades
        num = sum(n for n, c in sheet.getcolors(sheet.width * sheet.height) if c == (shade,) * 3)
        assert num == pytest.approx(2 * 40 * 40, rel=0.05)


def test_class_means_are_means_and_an_empty_class_is_black() -> None:
    random = torch.Generator().manual_seed(0)
    images = torch.rand(50, 2, 5, 8, generator=random, dtype=torch.float64)
    labels = torch.randint(0, 3, (50,), generator=random)
    means = class_means(images, labels, num_classes=4)
    for label in range(3):
        assert torch.allclose(means[label], images[labels == label].mean(dim=0))
    assert means[3].abs().max() == 0


def test_stages_are_brightened_alike() -> None:
    dim, bright = torch.full((1, 6, 6), 0.2), torch.full((1, 6, 6), 0.5)
    sheet = pixels(alignment_sheet("t", "s", [("input", "", dim), ("output", "", bright)]))
    greys = {grey: number for number, grey in sheet.convert("L").getcolors()}
    assert greys[102] >= 0.97 * sheets.SIDE_PX**2  # 0.2 / 0.5 of white
    black = pixels(alignment_sheet("t", "s", [("input", "", dim * 0)])).convert("L")
    place = sheets.EDGE_PX + sheets.LABEL_PX + 9, sheets.EDGE_PX + 4 * sheets.LINE_PX + 9
    assert black.getpixel(place) == 0


def test_a_long_name_goes_on_below() -> None:
    images = torch.zeros(1, 6, 6)
    sheet = pixels(alignment_sheet("t", "s", [("2 x ST-CNN 448 px 1/2", "", images)]))
    left = sheets.EDGE_PX + sheets.LABEL_PX
    beside = sheet.crop((left - 8, sheets.EDGE_PX + int(3.8 * sheets.LINE_PX), left, sheet.height))
    assert beside.getextrema() == ((255, 255),) * 3
