"""The paper's Figures 1 and 3, and training as a film, of finished runs."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stn.callbacks.metrics import MetricsFile
from stn.callbacks.panels import read_panel
from stn.drawing.canvas import Canvas
from stn.drawing.panels import aligned
from stn.drawing.paper_figures import FRAME_MS, LAST_MS, film, grid_sheet, module_sheet
from stn.drawing.warps import Warp, warp
from stn.files.run_files import METRICS, PANELS
from stn.inspecting.examples import spread
from stn.inspecting.looks import at_images
from stn.results.records import Record, read_record_of
from stn.running.preparing import build_data
from stn.running.restoring import restore
from stn.transformers import SpatialTransformer


@dataclass(frozen=True)
class Restored:
    """A run, brought back, with images (B, C, H, W) of its first test batch and what they are."""

    name: str
    record: Record
    network: nn.Module
    U: Tensor
    targets: Tensor

    @classmethod
    def of(cls, folder: Path, data_dir: Path, packages: Sequence[str]) -> "Restored":
        """Restore it.

        Raises:
            OSError, ValueError: as of `stn.running.restoring.restore`.
        """
        cell, task = restore(folder, data_dir, packages, fast=False)
        data, record = build_data(cell), read_record_of(folder)
        data.prepare_data()
        U, targets = data.on_after_batch_transfer(next(iter(data.test_dataloader())), 0)
        return cls(_label(record), record, task.network.eval(), U, targets)

    def transformer(self, U: Tensor) -> tuple[SpatialTransformer, Tensor]:
        """Return the first transformer of the images themselves, and its theta for U (B, P).

        Raises:
            ValueError: there is none.
        """
        found = at_images(self.network, U)
        if not found:
            raise ValueError(f"{self.record.run_id} has no transformer of images")
        return found[0]

    @property
    def words(self) -> str:
        """How it was trained."""
        record = self.record
        return f"{record.data}, recipe {record.recipe}, seed {record.seed}"


def figure1(folder: Path, data_dir: Path, packages: Sequence[str], num: int) -> Canvas:
    """Draw what the transformer of a run makes of its first test images, of a class each.

    Raises:
        OSError, ValueError: the run cannot be restored, or has no transformer or no classes.
    """
    run = Restored.of(folder, data_dir, packages)
    if run.targets.ndim != 1 or run.targets.is_floating_point():
        raise ValueError(f"{run.record.run_id}: Figure 1 is of images that have one class each")
    chosen = spread(run.targets, torch.ones_like(run.targets, dtype=torch.bool))[:num]
    U = run.U[chosen]
    transformer, theta = run.transformer(U)
    with torch.no_grad():
        probabilities = run.network(U).softmax(dim=1)
    drawn: Warp = warp(transformer, U, theta)
    title = f"{run.name}: input, transformer, prediction"
    subtitle = f"{run.words}; the first test images of {len(U)} classes"
    return module_sheet(title, subtitle, drawn, probabilities, run.targets[chosen])


def figure3(
    folders: Sequence[Path], data_dir: Path, packages: Sequence[str], number: int
) -> Canvas:
    """Draw the regular grid and those of runs on the same data, over one of their test images.

    Args:
        folders: of the runs.
        data_dir: where the data are.
        packages: whose classes may be built.
        number: of the image, in the first batch of the test set.

    Raises:
        OSError, ValueError: a run cannot be restored, or has no transformer; there is no such
            image; or the runs are of different data.
    """
    runs = [Restored.of(folder, data_dir, packages) for folder in folders]
    if len({run.record.data for run in runs}) > 1:
        raise ValueError("Figure 3 is of runs on the same data")
    if not 0 <= number < len(runs[0].U):
        raise ValueError(f"image must be from 0 to {len(runs[0].U) - 1}, not {number}")
    columns: list[tuple[str, Tensor, Tensor]] = []
    for run in runs:
        U = run.U[number : number + 1]
        transformer, theta = run.transformer(U)
        if transformer.num_axes != 2:
            raise ValueError(f"{run.record.run_id} warps volumes; Figure 3 is of images")
        size = transformer.output_size or (U.shape[-2], U.shape[-1])
        family = transformer.transform
        with torch.no_grad():
            for name, of in (("the identity", family.identity()[None]), (run.name, theta)):
                if of is theta or not columns:
                    columns.append((name, family.grid(of, size)[0], transformer.warp(U, of)[0]))
    subtitle = f"{runs[0].words}; test image {number}; a dot is where a pixel of V is read"
    return grid_sheet("The sampling grid over the image U", subtitle, runs[0].U[number], columns)


def training(folder: Path) -> bytes:
    """Return an animated GIF of the panels of a run: the same images through training.

    Raises:
        OSError, ValueError: the run is not finished, or has no panels.
    """
    record = read_record_of(folder)
    paths = sorted((folder / PANELS).glob("step_*.png"))
    if len(paths) < 2 or not record.steps:
        raise ValueError(f"{folder} has no panels through training")
    config: Any = record.config
    metric = config["task"]["metric"]
    rows = MetricsFile(folder / METRICS).rows()
    measured = {step: value for step, name, value in rows if name == f"val_{metric}"}
    shares, written = [], []
    for path in paths:
        step = int(path.stem.removeprefix("step_"))
        words = f"step {step:,} of {record.steps:,}"
        if step in measured:
            unit = " %" if metric.endswith("_percent") else ""
            name = metric.removesuffix("_percent").replace("_", " ")
            words += f"; {name} on held-out images: {measured[step]:.2f}{unit}"
        shares.append(step / record.steps)
        written.append(words)
    pictures = aligned([read_panel(path)[:2] for path in paths])
    words = f"{_label(record)} on {config['data']['label']}: input, where it is read, output"
    first, *others = film(words, list(zip(shares, written, pictures, strict=True)))
    content, pauses = io.BytesIO(), [FRAME_MS] * len(others) + [LAST_MS]
    first.save(content, "GIF", save_all=True, append_images=others, duration=pauses, loop=0)
    return content.getvalue()


def _label(record: Record) -> str:
    """Name a network and its transform, as tables do."""
    config: Any = record.config
    transform = "TPS" if record.transform == "tps" else record.transform or ""
    return f"{config['model']['label']} {transform}".rstrip()
