"""Where transformers look as training goes on, from the panels that runs left (Appendix A.2)."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stn.callbacks.panels import GAP_PX, MARGIN_PX, SIDE_PX, Panels
from stn.drawing.canvas import Canvas
from stn.drawing.sheets import training_sheet
from stn.results.comparison import Comparison
from stn.results.figures import number
from stn.results.table import Column

NUM_STEPS = 8
TILE_PX = SIDE_PX + 2 * MARGIN_PX + GAP_PX


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
            panels = Panels(runs / record.run_id / "panels").written()
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
    steps = sorted(panels)
    num = min(NUM_STEPS, len(steps))
    chosen = {steps[round(i * (len(steps) - 1) / max(1, num - 1))] for i in range(num)}
    tiles: list[dict[int, Tensor]] = []
    for step in sorted(chosen):
        with Image.open(panels[step]) as panel:
            num_transformers = (panel.height - GAP_PX) // TILE_PX // 3
            whole = torch.from_numpy(np.asarray(panel.convert("RGB")) / 255).permute(2, 0, 1)
            tiles = tiles or [{} for _ in range(num_transformers)]
            for i, of_transformer in enumerate(tiles):
                top = GAP_PX + (3 * i + 1) * TILE_PX
                of_transformer[step] = whole[:, top:, GAP_PX:][:, :TILE_PX, :TILE_PX]
    marks = [f" {i + 1}" if len(tiles) > 1 else "" for i in range(len(tiles))]
    return [(name + mark, words, found) for mark, found in zip(marks, tiles, strict=True)]
