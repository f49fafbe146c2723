"""What the transformers do: their warps in numbers, and pictures of the same samples over time."""

import io
import json
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import BaseModel, ConfigDict, TypeAdapter
from pytorch_lightning import Callback
from torch import Tensor, nn

from stn.callbacks.warp_statistics import COLLAPSES, collapses, gradient_norms, telling
from stn.drawing.panels import STAGES, panel_sheet
from stn.drawing.tiles import BAD, FAINT, GOOD
from stn.drawing.warps import at_work, warp, watched
from stn.files.atomic import write_atomically
from stn.files.regular import regular
from stn.tasks.house_numbers import written
from stn.transformers import Transform

BINS = 32  # of a histogram
TOLD = "told"  # the text in a PNG file


class _Row(BaseModel):
    """What is told of an image and a transformer, besides numbers: where its stages are."""

    model_config = ConfigDict(extra="allow")
    image: int
    transformer: int
    boxes: dict[str, tuple[int, int, int, int]]


_ROWS = TypeAdapter(list[_Row])


class Panels(Callback):
    """Logs what the transformers of a network do, and draws it for the same validation samples.

    Numbers are of the first batch of validation. Of a network without a spatial transformer, only
    gradients and learning rates are logged. Of several transformers, each has its numbers and its
    rows of a picture, in the order of their work. A transformer that has collapsed by the end is
    warned of, and `val_collapsed_<how>` is measured as 1.

    Args:
        folder: where pictures go, PNG files that tell the numbers they show (`read_panel`).
        every_n_epochs: pictures are made after every so many epochs, before the first, and at last.
        num: samples, the columns of a picture.
    """

    def __init__(self, folder: Path, every_n_epochs: int = 1, num: int = 10) -> None:
        self.folder = folder
        self.every_n_epochs = every_n_epochs
        self.num = num
        self._drawn: int | None = None
        self._watching = ExitStack()
        self._warps: list[tuple[Transform, Tensor]] = []

    def path(self, step: int) -> Path:
        """Return where the picture of a step is, if there is one."""
        return self.folder / f"step_{step:06d}.png"

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Log the norms of the gradients, and the learning rates, as often as the loss."""
        every: Any = getattr(pl_module, "log_every_n_steps", 1)
        if trainer.is_global_zero and trainer.global_step % every == 0:
            names = ("lr", "lr_localisation")
            rates = {n: g["lr"] for n, g in zip(names, optimizer.param_groups, strict=False)}
            norms = gradient_norms(cast(nn.Module, pl_module.network))
            for logger in trainer.loggers:
                logger.log_metrics({**norms, **rates}, trainer.global_step)

    def on_validation_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
        *_: Any,
    ) -> None:
        """Watch the transformers on the first batch."""
        if batch_idx == 0 and trainer.is_global_zero:
            network = cast(nn.Module, pl_module.network)
            self._found = self._watching.enter_context(watched(network))

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        *_: Any,
    ) -> None:
        """Keep what they did."""
        if batch_idx == 0 and trainer.is_global_zero:
            self._watching.close()
            self._warps = [(layer.transform, theta) for layer, _, theta in self._found]
            self._found = []

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the numbers, and draw the picture if it is its turn."""
        if not trainer.is_global_zero or not self._warps:
            return
        at_end = trainer.state.fn == "validate"
        statistics, histograms = {}, {}
        for i, (transform, theta) in enumerate(self._warps):
            mark = f"_{i + 1}" if i else ""
            sds = theta.std(0, correction=0)
            for j, (mean, sd) in enumerate(zip(theta.mean(0), sds, strict=True)):
                statistics[f"theta{mark}/mean_{j}"] = mean.item()
                statistics[f"theta{mark}/sd_{j}"] = sd.item()
            found = telling(transform, theta)
            for name, values in found.items():
                statistics[f"warp{mark}/{name}"] = values.mean().item()
                statistics[f"warp{mark}/sd_{name}"] = values.std(correction=0).item()
                counts, edges = np.histogram(values.numpy().round(6), BINS)
                histograms[f"warp{mark}/{name}"] = [counts.tolist(), edges.tolist()]
            for name in collapses(found, theta) if at_end else ():
                measured: Any = pl_module.measured
                measured[f"val_collapsed_{name}{mark}"] = 1.0
                statistics[f"val_collapsed_{name}{mark}"] = 1.0
                warnings.warn(f"transformer {i + 1}: {COLLAPSES[name]}", stacklevel=2)
        if not trainer.sanity_checking:
            for logger in trainer.loggers:
                logger.log_metrics(statistics, trainer.global_step)
        # Before training, after it (`trainer.validate`), and every so often between.
        between = (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if trainer.sanity_checking or at_end or between:
            self._draw(trainer, pl_module, histograms)

    def _draw(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, histograms: dict[str, Any]
    ) -> None:
        """Draw the picture of this step, with numbers and words for each column in its file."""
        step, network = trainer.global_step, cast(nn.Module, pl_module.network)
        if self._drawn == step:  # by the last epoch, and now by `validate`
            return
        self._drawn = step
        U, targets = trainer.datamodule.panel_batch(self.num)  # type: ignore[attr-defined]
        outputs: list[Any] = []
        hook = network.register_forward_hook(lambda _, given, found: outputs.append(found))
        found = at_work(network, U.to(pl_module.device))
        hook.remove()
        said = written_answers(outputs[0], targets)
        here: dict[int, Tensor] = {}  # maps on the processor; those that several share stay one
        warps = [
            warp(layer, here.setdefault(id(maps), maps.cpu()), theta.cpu())
            for layer, maps, theta in found
        ]
        image, boxes = panel_sheet(
            f"{self.folder.parent.name}: step {step}",
            warps,
            [[(f"is {a}", FAINT), (f"said {b}", GOOD if a == b else BAD)] for a, b in said],
        )
        rows = []
        for t, (layer, _, theta) in enumerate(found):
            numbers = telling(layer.transform, theta)
            for i in range(len(theta)):
                row: dict[str, Any] = {"step": step, "image": i, "transformer": t + 1}
                row |= dict(zip(("true", "predicted"), said[i], strict=True)) if said else {}
                row |= {name: values[i].item() for name, values in numbers.items()}
                rows.append(row | {"boxes": {stage: boxes[t][stage][i] for stage in STAGES}})
        info, content = PngInfo(), io.BytesIO()
        info.add_text(TOLD, json.dumps({"rows": rows, "histograms": histograms}), zip=True)
        image.save(content, "PNG", pnginfo=info)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path(step), content.getvalue())


def read_panel(path: Path) -> tuple[Image.Image, list[dict[str, Any]], dict[str, Any]]:
    """Read a picture of `Panels`.

    Returns:
        The picture; for each transformer and image what it is, was taken for and how it was warped,
        with the `boxes` of its stages in the picture; and histograms of the warps of a whole batch,
        by name: counts and edges. Pictures of older versions tell nothing.

    Raises:
        OSError: it is not there.
        ValueError: it is damaged.
    """
    content = regular(path).read_bytes()
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as file:
            file.load()
            told = json.loads(file.text.get(TOLD, "{}"))  # type: ignore[attr-defined]
            rows = [row.model_dump() for row in _ROWS.validate_python(told.get("rows", []))]
            for left, top, right, bottom in (box for row in rows for box in row["boxes"].values()):
                if not (0 <= left < right <= file.width and 0 <= top < bottom <= file.height):
                    raise ValueError("a tile is not in the picture")
            return file.convert("RGB"), rows, told.get("histograms", {})
    except (
        AttributeError,
        OSError,
        RecursionError,
        SyntaxError,
        ValueError,
        Image.DecompressionBombError,
    ) as error:
        raise ValueError(f"{path} is damaged: {type(error).__name__}") from error


def written_answers(outputs: Any, targets: Any) -> list[tuple[str, str]]:
    """Write what images are and what they are taken for; nothing where that is not one of classes.

    Args:
        outputs: logits (B, classes), or (B, heads, classes) of several digits.
        targets: labels (B,), or digits (B, heads).
    """
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor):
        return []
    if outputs.shape[:-1] != targets.shape or targets.is_floating_point():
        return []
    pairs = zip(targets.cpu(), outputs.argmax(dim=-1).cpu(), strict=True)
    return [(written(target), written(output)) for target, output in pairs]
