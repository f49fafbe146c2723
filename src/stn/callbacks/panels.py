"""What the transformers do: theta statistics and pictures of the same samples through training."""

import warnings
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from PIL import Image
from pytorch_lightning import Callback
from pytorch_lightning.loggers import WandbLogger

from stn.callbacks.telling import COLLAPSES, collapses, gradient_norms, telling
from stn.drawing.tiles import table_of
from stn.drawing.warps import Warp, at_work, warp
from stn.transformers import outside_fraction

SIDE_PX, MARGIN_PX, GAP_PX = 84, 24, 0
CAPTION = "input, where the transformer looks, output"


def draw_panels(*warps: Warp) -> Image.Image:
    """Draw three rows a warp: input, input with outline and points, warped output."""
    rows: list[list[Image.Image]] = []
    for drawn in warps:
        trios = [drawn.tiles(i, SIDE_PX, MARGIN_PX) for i in range(len(drawn))]
        rows += [list(row) for row in zip(*trios, strict=True)]
    return table_of(rows, GAP_PX)


class Panels(Callback):
    """Writes pictures and logs theta statistics for a fixed batch of validation samples.

    Of a network without a spatial transformer, only gradients and learning rates are logged. Of
    several, each has its rows and its statistics, in the order of their work. Pictures go to
    `folder` as PNG files and, where W&B is on, to the run as `panels`. A transformer that has
    collapsed by the end is warned of, and `val_collapsed_<how>` is measured as 1.

    Args:
        folder: where the PNG files go.
        every_n_epochs: pictures are made after every so many epochs, and before the first.
        num: samples, the columns of a picture.
    """

    def __init__(self, folder: Path, every_n_epochs: int = 1, num: int = 10) -> None:
        self.folder = folder
        self.every_n_epochs = every_n_epochs
        self.num = num
        self._drawn: int | None = None

    def written(self) -> dict[int, Path]:
        """Return the pictures there are, by their step."""
        return {int(path.stem[5:]): path for path in sorted(self.folder.glob("step_*.png"))}

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Log the norms of the gradients, and the learning rates, as often as the loss."""
        every: Any = getattr(pl_module, "log_every_n_steps", 1)
        if trainer.is_global_zero and trainer.global_step % every == 0:
            names = ("lr", "lr_localisation")
            rates = {n: g["lr"] for n, g in zip(names, optimizer.param_groups, strict=False)}
            for logger in trainer.loggers:
                logger.log_metrics(
                    {**gradient_norms(pl_module.network), **rates},  # type: ignore[arg-type]
                    trainer.global_step,
                )

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the statistics, and draw the picture if it is its turn."""
        if not trainer.is_global_zero:
            return
        U, _ = trainer.datamodule.panel_batch(self.num)  # type: ignore[attr-defined]
        network: torch.nn.Module = pl_module.network  # type: ignore[assignment]
        at_end = trainer.state.fn == "validate"
        warps, statistics = [], {}
        for i, (transformer, maps, theta) in enumerate(at_work(network, U.to(pl_module.device))):
            warps.append(warp(transformer, maps, theta))
            size = transformer.output_size or (maps.shape[-2], maps.shape[-1])
            outside = outside_fraction(transformer.transform.grid(theta, size)).mean().item()
            mark = f"_{i + 1}" if i else ""
            statistics[f"outside_share{mark}"] = outside
            for j, (mean, sd) in enumerate(zip(theta.mean(0), theta.std(0), strict=True)):
                statistics[f"theta{mark}/mean_{j}"] = mean.item()
                statistics[f"theta{mark}/sd_{j}"] = sd.item()
            found = telling(transformer.transform, theta)
            for name, values in found.items():
                statistics[f"warp{mark}/{name}"] = values.mean().item()
                statistics[f"warp{mark}/{name}_sd"] = values.std(correction=0).item()
            for name in collapses(found, theta) if at_end else ():
                measured: Any = pl_module.measured
                measured[f"val_collapsed_{name}{mark}"] = 1.0
                warnings.warn(f"transformer {i + 1}: {COLLAPSES[name]}", stacklevel=2)
        if not warps:
            return
        if not trainer.sanity_checking:
            for logger in trainer.loggers:
                logger.log_metrics(statistics, trainer.global_step)
        # Before training, after it (`trainer.validate`), and every so often between.
        between = (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if trainer.sanity_checking or at_end or between:
            self._draw(trainer, warps)

    def _draw(self, trainer: pl.Trainer, warps: list[Warp]) -> None:
        if self._drawn == trainer.global_step:  # by the last epoch, and now by `validate`
            return
        self._drawn = trainer.global_step
        image = draw_panels(*warps)
        self.folder.mkdir(parents=True, exist_ok=True)
        image.save(self.folder / f"step_{trainer.global_step:06d}.png")
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger):
                logger.log_image("panels", [image], trainer.global_step, caption=[CAPTION])
