"""What the transformers do: theta statistics and pictures of the same digits through training."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning import Callback
from pytorch_lightning.loggers import WandbLogger
from torch import Tensor

from stn.drawing.tiles import table_of
from stn.drawing.warps import Warp, first_transformer, warp
from stn.transformers import SpatialTransformer, outside_fraction

SIDE_PX, MARGIN_PX, GAP_PX = 84, 24, 0


def draw_panels(drawn: Warp) -> Image.Image:
    """Draw three rows of pictures: input, input with outline and points, warped output."""
    trios = [drawn.tiles(i, SIDE_PX, MARGIN_PX) for i in range(len(drawn))]
    return table_of([list(row) for row in zip(*trios, strict=True)], GAP_PX)


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
        transformer = first_transformer(pl_module)
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

    def _draw(
        self, trainer: pl.Trainer, transformer: SpatialTransformer, U: Tensor, theta: Tensor
    ) -> None:
        image = draw_panels(warp(transformer, U, theta))
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
        logger.log_metrics(statistics, trainer.global_step)
