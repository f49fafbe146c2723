"""Trains and measures a network, whatever its loss: optimiser groups, seeding, divergence, logs."""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any, Protocol

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric, MetricCollection, SumMetric

from stn.data.randomness import stream
from stn.transformers.localisation import of_localisation

Batch = tuple[Tensor, Any]


class DivergedError(ArithmeticError):
    """The training loss is no longer a finite number."""


class Loss(Protocol):
    """What training makes small. It gets the network and not its output, to look inside."""

    def __call__(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the mean loss of a batch, a scalar."""


class Task(pl.LightningModule):
    """Trains a network on batches (U, targets), and measures it.

    Attributes:
        measured: what was measured last, by the name `<split>_<evaluator>`, such as
            `val_error_percent`; and how many samples of the test set it was measured on.

    Args:
        network: maps inputs U (B, ...) to what evaluators and loss understand.
        loss: what training makes small.
        evaluators: what is measured on validation and test set, by name: metrics of torchmetrics,
            updated with (outputs, targets), whose `compute` gives one number.
        optimizer: builds the optimiser from parameter groups.
        scheduler: builds the schedule, stepped once an optimiser step.
        localisation_lr_factor: learning rate of the localisation networks, relative to the rest.
        log_every_n_steps: how often the training loss is logged.
        seed: of what the network draws in training, such as dropout.

    Raises:
        DivergedError: in training, the loss is NaN or infinite.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        evaluators: Mapping[str, Metric],
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
        localisation_lr_factor: float = 1.0,
        log_every_n_steps: int = 50,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.evaluators = MetricCollection(dict(evaluators), compute_groups=False)
        self.names = list(evaluators)  # in their order, which a collection forgets
        self.build_optimizer = optimizer
        self.build_scheduler = scheduler
        self.localisation_lr_factor = localisation_lr_factor
        self.log_every_n_steps = log_every_n_steps
        self.seed = seed
        self.num_seen = SumMetric()
        self.measured: dict[str, float] = {}

    def forward(self, U: Tensor) -> Any:
        """Return what the network makes of the inputs U."""
        return self.network(U)

    def on_train_epoch_start(self) -> None:
        """Seed torch for what the network draws: runs resume at the start of an epoch.

        Without this a resumed run would draw other dropout, for torch's state is in no checkpoint.
        """
        torch.manual_seed(stream(self.seed, f"draws/{self.global_rank}", self.current_epoch))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        loss = self.loss(self.network, batch)
        if not torch.isfinite(loss):
            raise DivergedError(f"the loss became {loss.item()} at step {self.global_step}")
        if self.global_step % self.log_every_n_steps == 0:
            # The loss of the whole batch, of which each device has an equal share.
            whole = self.trainer.strategy.reduce(loss.detach().clone(), reduce_op="mean")
            self._publish({"train_loss": whole.item()})
        return loss

    def on_validation_epoch_start(self) -> None:
        """Start measuring anew."""
        self.num_seen.reset()
        self.evaluators.reset()

    on_test_epoch_start = on_validation_epoch_start

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measure on a batch."""
        U, targets = batch
        self.num_seen.update(len(U))
        self.evaluators.update(self.network(U), targets)

    test_step = validation_step

    def on_validation_epoch_end(self) -> None:
        """Keep and log what was measured on the validation set."""
        self._conclude("val", published=not self.trainer.sanity_checking)

    def on_test_epoch_end(self) -> None:
        """Keep and log what was measured on the test set, and on how many samples."""
        self._conclude("test")
        self.measured["num_test"] = self.num_seen.compute().item()

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Build optimiser and schedule; localisation networks form a group of their own."""
        # Each parameter once, though transformers may share a localisation network; what they
        # share beside it is the network's own `localisation`.
        named = dict(self.network.named_parameters())
        localisation = [p for name, p in named.items() if of_localisation(name)]
        taken = set(localisation)
        rest = [p for p in named.values() if p not in taken]
        # One pass over all parameters, of the optimisers that have it.
        takes_fused = "fused" in signature(self.build_optimizer).parameters
        one_pass = {"fused": True} if takes_fused else {}
        optimizer = self.build_optimizer([{"params": rest}], **one_pass)
        if localisation:
            lr = optimizer.defaults["lr"] * self.localisation_lr_factor
            optimizer.add_param_group({"params": localisation, "lr": lr})
        scheduler = self.build_scheduler(optimizer)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def _conclude(self, split: str, published: bool = True) -> None:
        computed = self.evaluators.compute()
        # On the processor, and no tensors: some devices know no float64.
        found = {f"{split}_{name}": float(computed[name]) for name in self.names}
        self.measured |= found
        if published:
            self._publish(found)

    def _publish(self, metrics: dict[str, float]) -> None:
        """Give metrics to the loggers under the optimiser's step.

        Lightning's own count of steps is off by one in a run that was resumed.
        """
        for logger in self.loggers:
            logger.log_metrics(metrics, self.global_step)
