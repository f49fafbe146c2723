"""Where transformers look as training goes on, from the panels that runs left (Appendix A.2)."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stn.callbacks.panels import read_panel
from stn.drawing.canvas import Canvas
from stn.drawing.panels import STAGES
from stn.drawing.sheets import training_sheet
from stn.drawing.tiles import evenly
from stn.files.run_files import PANELS
from stn.results.comparison import Comparison
from stn.results.table import Column
from stn.results.wording import number

NUM_STEPS = 8


def draw_training(comparison: Comparison, column: Column, runs: Path) -> Canvas | None:
    """Draw the first image of each run's panels with what its transformers read, step by step.

    Args:
        comparison: the table.
        column: its column, of whose cells the first finished seed is drawn.
        runs: folder of the runs.

    Returns:
        None if no run of the column has panels.
    """
    table, rows = comparison.table, []
    for row in table.rows:
        for record in comparison.cell(row.key, column.key).finished[:1]:
            paths = (runs / record.run_id / PANELS).glob("step_*.png")
            panels = {int(path.stem[5:]): path for path in paths}
            value = f"{number(record.metrics[table.metric.name], table.metric.digits)} "
            rows += _rows(row.label, f"{table.metric.label} {value}{table.metric.unit}", panels)
    if not rows:
        return None
    heading = f"{table.title}, {column.key} ({column.label}): what is read, by step of training"
    return training_sheet(heading, f"recipe {comparison.recipe}", rows)


def _rows(
    name: str, words: str, panels: dict[int, Path]
) -> list[tuple[str, str, dict[int, Tensor]]]:
    """Cut the tile with the outline out of the panels of a run, for each of its transformers."""
    tiles: list[dict[int, Tensor]] = []
    for step in evenly(sorted(panels), NUM_STEPS):
        panel, told, _ = read_panel(panels[step])
        boxes = [row["boxes"][STAGES[1]] for row in told if row["image"] == 0]
        tiles = tiles or [{} for _ in boxes]
        for of_transformer, box in zip(tiles, boxes, strict=True):
            tile = torch.from_numpy(np.asarray(panel.crop(box)) / 255).permute(2, 0, 1)
            of_transformer[step] = tile
    side = max((tile.shape[1] for found in tiles for tile in found.values()), default=0)
    for found in tiles:  # margins differ from step to step, the scale does not
        for step, tile in found.items():
            rim = (side - tile.shape[1]) // 2
            found[step] = F.pad(tile, [rim, rim, rim, rim], value=1.0)
    marks = [f" {i + 1}" if len(tiles) > 1 else "" for i in range(len(tiles))]
    return [(name + mark, words, found) for mark, found in zip(marks, tiles, strict=True)]
