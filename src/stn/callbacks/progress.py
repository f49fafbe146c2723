"""How far a run is and what it cost, for the display of a sweep and for the record."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning import Callback

from stn.files.atomic import write_atomically

WRITE_EVERY_S = 1.0


class Stopwatch(Callback):
    """Adds up the time of a run over all its resumptions.

    Attributes:
        train_s: seconds in training steps.
        wall_s: seconds since the run was first started, pauses and downloads left out.
        cpu_s: seconds of processor time in that time, all threads of the process together.
        steps: optimiser steps.
        samples: training samples, over all processes.
        code: `code_id` of the code that ran all of it; None if it was not the same.
    """

    def __init__(self, code: str | None) -> None:
        self.train_s = 0.0
        self.steps, self.samples = 0, 0
        self.code = code
        self._before_s = 0.0
        self._cpu_before_s: float | None = 0.0
        self._start, self._cpu_start = time.perf_counter(), time.process_time()
        self._step_start = self._start

    @property
    def since_start_s(self) -> float:
        """Seconds since this process started it, by a clock that nobody sets."""
        return time.perf_counter() - self._start

    @property
    def wall_s(self) -> float:
        """Seconds this run has taken so far."""
        return self._before_s + self.since_start_s

    @property
    def cpu_s(self) -> float | None:
        """Seconds of processor time so far; None if a checkpoint of older code did not tell."""
        before_s = self._cpu_before_s
        return None if before_s is None else before_s + time.process_time() - self._cpu_start

    def on_train_batch_start(self, *args: Any) -> None:
        """Start the clock of a step."""
        self._step_start = time.perf_counter()

    def on_train_batch_end(
        self, trainer: pl.Trainer, task: pl.LightningModule, outputs: Any, batch: Any, *args: Any
    ) -> None:
        """Stop the clock of a step, and count it."""
        self.train_s += time.perf_counter() - self._step_start
        self.steps = trainer.global_step
        self.samples += trainer.world_size * len(batch[0])

    def take_steps(self, other: "Stopwatch") -> None:
        """Take over what another process measured of this run; its start is here.

        The processor time of a run in several processes is not known.
        """
        self.train_s, self.steps, self.samples = other.train_s, other.steps, other.samples
        self._before_s = other._before_s
        self.code = other.code
        self._cpu_before_s = None

    def __getstate__(self) -> dict[str, Any]:
        """Travel without the `log` that Lightning hangs on callbacks, and the network with it."""
        return {name: value for name, value in vars(self).items() if not callable(value)}

    def state_dict(self) -> dict[str, Any]:
        """Return the times so far."""
        times = {"train_s": self.train_s, "wall_s": self.wall_s, "cpu_s": self.cpu_s}
        return {**times, "steps": self.steps, "samples": self.samples, "code": self.code}

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Forget the code of this run if the checkpoint is of other code, and say so."""
        if checkpoint["callbacks"].get(self.state_key, {}).get("code") == self.code:
            return
        self.code = None
        if trainer.is_global_zero:
            run = Path(trainer.default_root_dir).name
            print(f"{run}: goes on from a checkpoint of other code, and is marked", file=sys.stderr)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from earlier times."""
        self.train_s = state_dict["train_s"]
        self.steps, self.samples = state_dict["steps"], state_dict["samples"]
        self._before_s, self._cpu_before_s = state_dict["wall_s"], state_dict.get("cpu_s")


class ProgressFile(Callback):
    """Writes `progress.json` about once a second; a sweep shows it, and removes nothing.

    Args:
        path: the file, replaced atomically.
        metric: of the validation set, which is told, too.
    """

    def __init__(self, path: Path, metric: str) -> None:
        self.path, self.metric = path, f"val_{metric}"
        self._last = 0.0

    def on_train_batch_end(self, trainer: pl.Trainer, task: pl.LightningModule, *args: Any) -> None:
        """Write the step and the metric, if the last time was long enough ago."""
        now = time.monotonic()
        if trainer.is_global_zero and now - self._last >= WRITE_EVERY_S:
            self._last = now
            state = {
                "step": trainer.global_step,
                "max_steps": trainer.max_steps,
                "metric": self.metric,
                "value": task.measured.get(self.metric),  # type: ignore[operator,union-attr]
            }
            write_atomically(self.path, json.dumps(state).encode())
