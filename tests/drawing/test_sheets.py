import pytest
import torch
from PIL import Image

from stn.drawing import sheets
from stn.drawing.sheets import (
    INK,
    STAGES,
    ExampleRow,
    alignment_sheet,
    class_means,
    example_sheet,
    panel_sheet,
)
from stn.drawing.tiles import tile
from stn.drawing.warps import Warp, warp
from stn.models.mnist import StFcn
from stn.transformers import Affine, ThinPlateSpline


def example_row(num: int, seed: int = 0) -> ExampleRow:
    random = torch.Generator().manual_seed(seed)
    transformer = StFcn((1, 20, 28), 10, 4, ThinPlateSpline(), output_size=(14, 14)).transformer
    drawn: Warp = warp(transformer, torch.rand(num, 1, 20, 28, generator=random))
    labels = torch.randint(0, 10, (num,), generator=random)
    return ExampleRow("ST-CNN TPS", "error 0.50 %", drawn, torch.arange(num), labels, labels + 1)


def panel(scale: float, num: int = 2, shared: bool = True) -> tuple[Image.Image, list, list[Warp]]:
    """A panel of two transformers, which see the same images or not."""
    transformer = StFcn((3, 20, 28), 10, 4, Affine(), output_size=(14, 30)).transformer
    theta = torch.tensor([[scale, 0.0, 0, 0, scale, 0]]).repeat(num, 1)
    U = torch.rand(num, 3, 20, 28)
    warps = [warp(transformer, U, theta), warp(transformer, U if shared else U.flip(3), theta / 2)]
    words = [[("is 7", INK), ("said 1", INK)]] * num
    return *panel_sheet("title", warps, words), warps


@pytest.mark.parametrize("shared", [True, False])
def test_a_panel_tells_where_its_stages_are(shared: bool) -> None:
    sheet, boxes, warps = panel(scale=1.5, shared=shared)
    for places, drawn in zip(boxes, warps, strict=True):
        for i in range(2):
            before, look, after = (places[stage][i] for stage in STAGES)
            margin = (look[2] - look[0] - sheets.SIDE_PX) // 2
            assert sheet.crop(before) == tile(drawn.U[i], sheets.SIDE_PX)
            assert sheet.crop(look) == drawn.tiles(i, sheets.SIDE_PX, margin)[1]
            assert sheet.crop(after) == tile(drawn.V[i], sheets.SIDE_PX)
    tops = {box[1] for places in boxes for stage in STAGES for box in places[stage]}
    assert len(tops) == (5 if shared else 6)  # rows: the same input is drawn once


@pytest.mark.parametrize("scale", [0.3, 1.0, 1.7, 2.4])
@pytest.mark.parametrize("num", [1, 4])
def test_nothing_of_a_panel_is_cut(scale: float, num: int) -> None:
    sheet, boxes, _ = panel(scale, num)
    paper = ((255, 255),) * 3
    width, height = sheet.size
    edges = ((0, 0, width, 8), (0, 0, 8, height), (width - 8, 0, *sheet.size))
    for box in (*edges, (0, height - 8, *sheet.size)):
        assert sheet.crop(box).getextrema() == paper
    for left, top, right, bottom in (box for places in boxes for box in places[STAGES[1]]):
        picture = sheet.crop((left, top, right, bottom))
        columns = [picture.crop((x, 0, x + 2, picture.height)) for x in (0, picture.width - 2)]
        assert [column.getextrema() for column in columns] == [paper, paper]


def test_what_is_far_out_does_not_make_a_panel_endless() -> None:
    assert panel(scale=900)[0].size == panel(scale=5)[0].size


def count(sheet: Image.Image, part: Image.Image) -> int:
    """How often a picture is in a sheet, at the places of the first column of its pixels."""
    width, height = part.size
    corners = ((x, y) for x in range(sheet.width - width) for y in range(sheet.height - height))
    first = part.getpixel((0, 0)), part.getpixel((width - 1, height - 1))
    return sum(
        (sheet.getpixel((x, y)), sheet.getpixel((x + width - 1, y + height - 1))) == first
        and sheet.crop((x, y, x + width, y + height)) == part
        for x, y in corners
    )


def test_a_sheet_shows_each_input_and_output_once() -> None:
    row = example_row(2)
    sheet = example_sheet("title", "subtitle", ("CNN", "ST-CNN"), [row])
    for images in (row.warp.U, row.warp.V):
        for image in images:
            picture = tile(image[0], sheets.SIDE_PX)
            middle = picture.crop((0, sheets.SIDE_PX // 4, sheets.SIDE_PX, sheets.SIDE_PX // 2))
            assert count(sheet, middle) == 1


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
    edge = long.crop((long.width - sheets.EDGE_PX, 0, *long.size))
    assert edge.getextrema() == ((255, 255),) * 3


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
    sheet = alignment_sheet("t", "s", [("input", "", dim), ("output", "", bright)]).convert("L")
    greys = {grey: number for number, grey in sheet.getcolors()}
    assert greys[102] >= sheets.SIDE_PX**2  # 0.2 / 0.5 of white
    assert (
        alignment_sheet("t", "s", [("input", "", dim * 0)])
        .convert("L")
        .getpixel((sheets.EDGE_PX + sheets.LABEL_PX + 9, sheets.EDGE_PX + 4 * sheets.LINE_PX + 9))
        == 0
    )
