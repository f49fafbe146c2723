import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from stn.callbacks.panels import TOLD
from stn.drawing.panels import STAGES
from stn.inspecting.training_pictures import NUM_STEPS, _rows, draw_training
from stn.results.table import parse_table
from tests.results.conftest import BIRDS, comparison_of, synthetic_record

TILE = 12


def write_panels(folder: Path, steps: range, num_transformers: int = 1) -> dict[int, Path]:
    """Write panels whose tile of row r and column c is of one shade, 10 r + c + 1."""
    folder.mkdir(parents=True)
    paths = {}
    for step in steps:
        shades = 10 * np.arange(3 * num_transformers)[:, None] + np.arange(2) + 1
        shades = shades.repeat(TILE, axis=0).repeat(TILE, axis=1).astype(np.uint8)
        tops = [(3 * t + 1) * TILE for t in range(num_transformers)]
        rows = [
            {"image": 0, "transformer": t + 1, "boxes": {STAGES[1]: (0, y, TILE, y + TILE)}}
            for t, y in enumerate(tops)
        ]
        info = PngInfo()
        info.add_text(TOLD, json.dumps({"rows": rows}))
        paths[step] = folder / f"step_{step:06d}.png"
        Image.fromarray(shades).save(paths[step], pnginfo=info)
    return paths


@pytest.mark.parametrize("num_transformers", [1, 2])
def test_the_outlines_of_the_first_image_are_cut_out(tmp_path: Path, num_transformers: int) -> None:
    panels = write_panels(tmp_path / "panels", range(0, 500, 10), num_transformers)
    rows = _rows("3", "right 80 %", panels)
    names = ["3"] if num_transformers == 1 else ["3 1", "3 2"]
    assert [name for name, _, _ in rows] == names
    for i, (_, words, pictures) in enumerate(rows):
        assert words == "right 80 %"
        assert len(pictures) == NUM_STEPS
        assert {0, 490} < pictures.keys()
        for picture in pictures.values():
            assert picture.shape == (3, TILE, TILE)
            assert ((picture * 255).round() == 10 * (3 * i + 1) + 1).all()


def test_tiles_are_where_a_panel_tells_and_of_one_scale(tmp_path: Path) -> None:
    panels = {}
    for step, room in ((0, 4), (7, 10)):
        shades = np.full((90, 80, 3), 255, dtype=np.uint8)
        shades[20 + room : 50 + room, 10 + room : 40 + room] = 100  # an image of 30 px
        box = (10, 20, 40 + 2 * room, 50 + 2 * room)
        info = PngInfo()
        info.add_text(
            TOLD, json.dumps({"rows": [{"image": 0, "transformer": 1, "boxes": {STAGES[1]: box}}]})
        )
        panels[step] = tmp_path / f"step_{step}.png"
        Image.fromarray(shades).save(panels[step], pnginfo=info)
    ((_, _, pictures),) = _rows("3", "", panels)
    assert [picture.shape for picture in pictures.values()] == [(3, 50, 50)] * 2
    assert (pictures[0] == pictures[7]).all()
    assert (pictures[0][:, 10:40, 10:40] < 0.5).all()


def test_runs_without_panels_are_left_out(tmp_path: Path) -> None:
    birds = parse_table("birds", BIRDS)
    metrics = {"metrics": {"test_accuracy_percent": 80.0}}
    records = [
        synthetic_record(**metrics, model=model, transform=transform)
        for model, transform in (("cnn", None), ("st_cnn", "translation"))
    ]
    comparison = comparison_of(birds, records)
    (column,) = birds.columns
    assert draw_training(comparison, column, tmp_path) is None
    write_panels(tmp_path / records[1].run_id / "panels", range(0, 20, 10))
    one = draw_training(comparison, column, tmp_path)
    write_panels(tmp_path / records[0].run_id / "panels", range(0, 20, 10))
    two = draw_training(comparison, column, tmp_path)
    assert one is not None
    assert two is not None
    assert two.height == one.height + TILE
