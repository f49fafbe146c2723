import numpy as np
import pytest
import torch
from PIL import Image

from stn.drawing import panels
from stn.drawing.panels import STAGES, aligned, panel_sheet
from stn.drawing.tiles import INK, tile
from stn.drawing.warps import Warp, warp
from stn.models.mnist import StFcn
from stn.transformers import Affine


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
            margin = (look[2] - look[0] - panels.SIDE_PX) // 2
            assert sheet.crop(before) == tile(drawn.U[i], panels.SIDE_PX)
            assert sheet.crop(look) == drawn.tiles(i, panels.SIDE_PX, margin)[1]
            assert sheet.crop(after) == tile(drawn.V[i], panels.SIDE_PX)
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


@pytest.mark.parametrize("shared", [True, False])
def test_sheets_that_follow_one_another_keep_each_image_in_its_place(shared: bool) -> None:
    scales, sheets = (0.5, 2.0), []
    for scale in scales:
        torch.manual_seed(0)
        sheet, boxes, _ = panel(scale, shared=shared)
        told = [
            {"transformer": t + 1, "image": i, "true": "7", "predicted": str(7 + i),
             "boxes": {stage: places[stage][i] for stage in STAGES}}
            for t, places in enumerate(boxes) for i in range(2)
        ]  # fmt: skip
        sheets.append((sheet, told))
    first, second = (np.asarray(picture, int) for picture in aligned(sheets))
    assert first.shape == second.shape
    inputs = [np.asarray(s.crop(told[0]["boxes"][STAGES[0]]), int) for s, told in sheets]
    assert (inputs[0] == inputs[1]).all()  # the same images
    height, width = inputs[0].shape[:2]
    middle = inputs[0][height // 2, width // 2]
    found = [
        {(y, x) for y, x in np.argwhere((picture == middle).all(-1)) - (height // 2, width // 2)
         if (picture[y : y + height, x : x + width] == inputs[0]).all()}
        for picture in (first, second)
    ]  # fmt: skip
    assert found[0] & found[1]


def test_a_sheet_of_an_older_version_is_named() -> None:
    with pytest.raises(ValueError, match="older version"):
        aligned([(Image.new("RGB", (4, 4)), [])])
