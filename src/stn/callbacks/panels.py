"""What the transformers do: theta statistics and pictures of the same digits through training."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from PIL import Image, ImageDraw
from pytorch_lightning import Callback
from pytorch_lightning.loggers import WandbLogger
from torch import Tensor

from stn.transformers import SpatialTransformer, outline, outside_fraction

CELL_PX = 96
GAP_PX = 4
LINE_COLOUR = (255, 96, 0)
BACKGROUND = (40, 44, 52)


def draw_panels(U: Tensor, outlines: Tensor, V: Tensor) -> Image.Image:
    """Draw three rows of pictures: input, input with the sampled outline, warped output.

    Args:
        U: inputs (B, 1, H, W) in [0, 1].
        outlines: source points (B, N, 2), (x, y) in [-1, 1], where the output's border is read.
        V: outputs (B, 1, H', W').
    """
    columns, step = len(U), CELL_PX + GAP_PX
    sheet = Image.new("RGB", (columns * step + GAP_PX, 3 * step + GAP_PX), BACKGROUND)
    for column in range(columns):
        left = GAP_PX + column * step
        marked = _enlarged(U[column])
        _draw_outline(marked, outlines[column], U.shape[-2:])
        for row, picture in enumerate((_enlarged(U[column]), marked, _enlarged(V[column]))):
            sheet.paste(picture, (left, GAP_PX + row * step))
    return sheet


class Panels(Callback):
    """Writes pictures and logs theta statistics for a fixed batch of validation digits.

    Does nothing for a network without a spatial transformer. Pictures go to `folder` as PNG files
    and, where W&B is on, to the run as `panels`.

    Args:
        folder: where the PNG files go.
        every_n_epochs: pictures are made after every so many epochs, and before the first.
        num_digits: columns of a picture.
    """

    def __init__(self, folder: Path, every_n_epochs: int = 1, num_digits: int = 10) -> None:
        self.folder = folder
        self.every_n_epochs = every_n_epochs
        self.num_digits = num_digits

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the statistics, and draw the picture if it is its turn."""
        transformer = _first_transformer(pl_module)
        if transformer is None or not trainer.is_global_zero:
            return
        U, _ = trainer.datamodule.panel_batch(self.num_digits)  # type: ignore[attr-defined]
        with torch.no_grad():
            theta = transformer.theta(U.to(pl_module.device))
        if not trainer.sanity_checking:
            _log_statistics(trainer, transformer, theta, U.shape[-2:])
        if self._is_due(trainer):
            self._draw(trainer, transformer, U.to(pl_module.device), theta)

    def _is_due(self, trainer: pl.Trainer) -> bool:
        """Draw before training, after it (`trainer.validate`), and every so often between."""
        between = (trainer.current_epoch + 1) % self.every_n_epochs == 0
        return trainer.sanity_checking or trainer.state.fn == "validate" or between

    @torch.no_grad()
    def _draw(
        self, trainer: pl.Trainer, transformer: SpatialTransformer, U: Tensor, theta: Tensor
    ) -> None:
        V = transformer.warp(U, theta)
        image = draw_panels(U.cpu(), outline(transformer.transform, theta).cpu(), V.cpu())
        self.folder.mkdir(parents=True, exist_ok=True)
        image.save(self.folder / f"step_{trainer.global_step:06d}.png")
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                caption = "input, where the transformer looks, output"
                logger.log_image("panels", [image], trainer.global_step, caption=[caption])


def _log_statistics(
    trainer: pl.Trainer, transformer: SpatialTransformer, theta: Tensor, input_size: Any
) -> None:
    grid = transformer.transform.grid(theta, transformer.output_size or tuple(input_size))
    statistics = {"outside_share": outside_fraction(grid).mean().item()}
    for i, (mean, sd) in enumerate(zip(theta.mean(0), theta.std(0), strict=True)):
        statistics |= {f"theta/mean_{i}": mean.item(), f"theta/sd_{i}": sd.item()}
    for logger in trainer.loggers:
        logger.log_metrics({**statistics, "epoch": trainer.current_epoch}, trainer.global_step)


def _first_transformer(module: pl.LightningModule) -> SpatialTransformer | None:
    return next((m for m in module.modules() if isinstance(m, SpatialTransformer)), None)


def _enlarged(image: Tensor) -> Image.Image:
    """(1, H, W) in [0, 1] -> a grey picture in a cell of CELL_PX x CELL_PX."""
    pixels = (image[0].clamp(0, 1) * 255).round().byte().numpy()
    size = _fitted(pixels.shape)
    cell = Image.new("RGB", (CELL_PX, CELL_PX), BACKGROUND)
    cell.paste(Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST).convert("RGB"))
    return cell


def _fitted(shape: Any) -> tuple[int, int]:
    """(H, W) of an image -> (width, height) in pixels of the cell, keeping its proportions."""
    scale = CELL_PX / max(shape)
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))


def _draw_outline(cell: Image.Image, points: Tensor, shape: Any) -> None:
    """Draw a closed polygon through source points, whose -1 and 1 are centres of border pixels."""
    width, height = _fitted(shape)
    sides = torch.tensor([shape[1], shape[0]])
    pixels = (points.float() + 1) / 2 * (sides - 1) + 0.5  # in pixels of the image, edges at 0
    pixels = pixels / sides * torch.tensor([width, height])
    corners = [tuple(p) for p in pixels.tolist()]
    ImageDraw.Draw(cell).line([*corners, corners[0]], fill=LINE_COLOUR, width=2)
