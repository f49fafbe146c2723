"""Image classification: cross entropy, test error in percent (Sections 4.1 and 4.3)."""

from collections.abc import Callable
from inspect import signature

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import SumMetric

from stn.data.randomness import stream
from stn.transformers import SpatialTransformer

Batch = tuple[Tensor, Tensor]


class DivergedError(ArithmeticError):
    """The training loss is no longer a finite number."""


class ClassificationTask(pl.LightningModule):
    """Trains a network on (images, labels) and counts its mistakes.

    Args:
        network: maps images (B, C, H, W) to logits (B, classes).
        optimizer: builds the optimiser from parameter groups.
        scheduler: builds the schedule, stepped once an optimiser step.
        localisation_lr_factor: learning rate of the localisation networks, relative to the rest.
        label_smoothing: share of a label that is spread evenly over all classes, in [0, 1].
        log_every_n_steps: how often the training loss is logged.
        seed: of what the network draws in training, such as dropout.

    Raises:
        ValueError: a label smoothing outside [0, 1].
        DivergedError: in training, the loss is NaN or infinite.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
        localisation_lr_factor: float = 1.0,
        label_smoothing: float = 0.0,
        log_every_n_steps: int = 50,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing must lie in [0, 1], not {label_smoothing}")
        self.network = network
        self.build_optimizer = optimizer
        self.build_scheduler = scheduler
        self.localisation_lr_factor = localisation_lr_factor
        self.label_smoothing = label_smoothing
        self.log_every_n_steps = log_every_n_steps
        self.seed = seed
        self.wrong = SumMetric()
        self.seen = SumMetric()

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits of the images U."""
        return self.network(U)

    def on_train_epoch_start(self) -> None:
        """Seed torch for what the network draws: runs resume at the start of an epoch.

        Without this a resumed run would draw other dropout, for torch's state is in no checkpoint.
        """
        torch.manual_seed(stream(self.seed, f"draws/{self.global_rank}", self.current_epoch))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the mean cross entropy of a batch, its labels smoothed."""
        U, labels = batch
        loss = F.cross_entropy(self.network(U), labels, label_smoothing=self.label_smoothing)
        if not torch.isfinite(loss):
            raise DivergedError(f"the loss became {loss.item()} at step {self.global_step}")
        if self.global_step % self.log_every_n_steps == 0:
            self._publish({"train_loss": self._over_devices(loss.detach().clone()).item()})
        return loss

    def on_validation_epoch_start(self) -> None:
        """Start counting anew."""
        self._reset()

    def on_test_epoch_start(self) -> None:
        """Start counting anew."""
        self._reset()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Count the mistakes of a batch."""
        self._count(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Count the mistakes of a batch."""
        self._count(batch)

    def on_validation_epoch_end(self) -> None:
        """Log the validation error."""
        error_percent = self.error_percent()
        self.log("val_error_percent", error_percent, logger=False)
        if not self.trainer.sanity_checking:
            self._publish({"val_error_percent": error_percent.item()})

    def on_test_epoch_end(self) -> None:
        """Log the test error and the number of test images."""
        error_percent = self.error_percent()
        self.log("test_error_percent", error_percent, logger=False)
        self.log("num_test", self.seen.compute().double(), logger=False)
        self._publish({"test_error_percent": error_percent.item()})

    def error_percent(self) -> Tensor:
        """Return the error over everything counted so far, in percent, as float64."""
        return 100 * self.wrong.compute().double() / self.seen.compute().double()

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Build optimiser and schedule; localisation networks form a group of their own."""
        localisation = self._localisation_parameters()
        taken = {id(p) for p in localisation}
        rest = [p for p in self.network.parameters() if id(p) not in taken]
        optimizer = self.build_optimizer([{"params": rest}], **self._fused())
        if localisation:
            lr = optimizer.defaults["lr"] * self.localisation_lr_factor
            optimizer.add_param_group({"params": localisation, "lr": lr})
        scheduler = self.build_scheduler(optimizer)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def _fused(self) -> dict[str, bool]:
        """Ask for one pass over all parameters, of the optimisers that have it."""
        return {"fused": True} if "fused" in signature(self.build_optimizer).parameters else {}

    def _over_devices(self, loss: Tensor) -> Tensor:
        """Return the loss of the whole batch, of which each device has an equal share."""
        return self.trainer.strategy.reduce(loss, reduce_op="mean")

    def _localisation_parameters(self) -> list[nn.Parameter]:
        transformers = (m for m in self.network.modules() if isinstance(m, SpatialTransformer))
        return [p for transformer in transformers for p in transformer.localisation.parameters()]

    def _publish(self, metrics: dict[str, float]) -> None:
        """Give metrics to the loggers under the optimiser's step.

        Lightning's own count of steps is off by one in a run that was resumed.
        """
        for logger in self.loggers:
            logger.log_metrics(metrics, self.global_step)

    def _count(self, batch: Batch) -> None:
        U, labels = batch
        self.wrong.update((self.network(U).argmax(dim=1) != labels).sum())
        self.seen.update(labels.numel())

    def _reset(self) -> None:
        self.wrong.reset()
        self.seen.reset()
