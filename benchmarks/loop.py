"""Lightning's loop with all that a cell hangs into it, against a bare loop."""

import tempfile
import time
from typing import Any

import pytorch_lightning as pl
import torch.nn.functional as F
from pytorch_lightning import Callback
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from benchmarks import configured
from benchmarks.report import Row, Section
from benchmarks.steps import BATCH_SIZE
from benchmarks.timing import Seconds, interleave, ratio, spread
from stn.callbacks.progress import Stopwatch
from stn.running.preparing import Cell, build_data, build_task, build_trainer

NUM_STEPS = {"fcn": 150, "cnn": 20}
WARM_UP_STEPS = 5
NOTE = """\
Time from the end of one training step to the end of the next, over the same batches of
{batch_size} of R, drawn on line. Both loops distort, train, follow the schedule and average the
weights, and end with the same weights; Lightning's also has the callbacks of a cell, `metrics.csv`
and `progress.json`. Start, validation and checkpoint are left out of both. Times in ms."""


def measure(rounds: int, batch_size: int = BATCH_SIZE) -> Section:
    """Measure both loops for the FCN and the CNN on R."""
    rows = []
    for model, num_steps in NUM_STEPS.items():
        loops = {
            "Lightning": lambda m=model, n=num_steps: _mean(lightning(m, n, batch_size)[0]),
            "bare": lambda m=model, n=num_steps: _mean(bare(m, n, batch_size)[0]),
        }
        times = interleave(loops, rounds)
        values = {name: spread(seconds).times(1000) for name, seconds in times.items()}
        values["Lightning / bare"] = ratio(times, "Lightning", "bare")
        rows.append(Row(model, model, values))
    return Section("loop", "The training loop", NOTE.format(batch_size=batch_size), rows)


class StepEnds(Callback):
    """Notes the processor's time at the end of every training step."""

    def __init__(self) -> None:
        self.times: list[Seconds] = []

    def on_train_batch_end(self, *args: Any) -> None:
        """Note the time."""
        self.times.append(time.process_time())


def lightning(model: str, num_steps: int, batch_size: int) -> tuple[list[Seconds], nn.Module]:
    """Train as a cell does; return when each step ended, and the averaged network."""
    with tempfile.TemporaryDirectory() as folder:
        described = _cell(model, num_steps, batch_size, folder)
        described.folder.mkdir()
        task, data, ends = build_task(described), build_data(described), StepEnds()
        trainer = build_trainer(described, Stopwatch(None), [])
        callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
        callbacks.insert(0, ends)
        trainer.fit(task, datamodule=data)
    return ends.times, task.network


def bare(model: str, num_steps: int, batch_size: int) -> tuple[list[Seconds], nn.Module]:
    """Train in a loop of a few lines; return when each step ended, and the averaged network."""
    described = _cell(model, num_steps, batch_size, "")
    task, data, ends = build_task(described), build_data(described), []
    schedule: Any = task.configure_optimizers()
    optimizer, scheduler = schedule["optimizer"], schedule["lr_scheduler"]["scheduler"]
    decay = described.config["recipe"]["averaging"]["decay"]
    averaged = AveragedModel(task.network, multi_avg_fn=get_ema_multi_avg_fn(decay))
    for _, samples in zip(range(num_steps), data.train_dataloader(), strict=False):
        U, labels = data.on_after_batch_transfer(samples, 0)
        optimizer.zero_grad()
        F.cross_entropy(task.network(U), labels).backward()
        optimizer.step()
        scheduler.step()
        averaged.update_parameters(task.network)
        ends.append(time.process_time())
    return ends, averaged.module


def _mean(ends: list[Seconds]) -> Seconds:
    """Mean time from the end of one step to the end of the next, warm-up left out."""
    return (ends[-1] - ends[WARM_UP_STEPS]) / (len(ends) - 1 - WARM_UP_STEPS)


def _cell(model: str, num_steps: int, batch_size: int, folder: str) -> Cell:
    return configured.cell(
        *(f"model={model}", "data=mnist_r", "recipe=quick", "logger=csv", f"runs_dir={folder}"),
        *("trainer.accelerator=cpu", "data.module._target_=benchmarks.digits.RandomDigits"),
        *(f"recipe.max_steps={num_steps}", f"recipe.batch_size={batch_size}"),
        "recipe.watch.val_every_n_epochs=1000",
    )
