"""One label an image: cross entropy, and the share of wrong answers (Sections 4.1 and 4.3)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric


class CrossEntropy:
    """Mean cross entropy of logits (B, classes) and labels (B,).

    Args:
        label_smoothing: share of a label that is spread evenly over all classes, in [0, 1].

    Raises:
        ValueError: a label smoothing outside [0, 1].
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing must lie in [0, 1], not {label_smoothing}")
        self.label_smoothing = label_smoothing

    def __call__(self, network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Return the loss of a batch (U, labels)."""
        U, labels = batch
        return F.cross_entropy(network(U), labels, label_smoothing=self.label_smoothing)


class ErrorPercent(Metric):
    """Share of images whose most likely class is not their label, in percent.

    Counts in whole numbers, so that neither the order nor the size of batches matters.
    """

    wrong: Tensor
    seen: Tensor

    def __init__(self) -> None:
        # A result that is kept moves to the device with the metric, and some know no float64.
        super().__init__(compute_with_cache=False)
        self.add_state("wrong", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("seen", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Count the mistakes of a batch.

        Raises:
            ValueError: not one label an image, such as the five of a house number.
        """
        if labels.shape != logits.shape[:1] or logits.ndim != 2:
            raise ValueError(
                f"one label an image: logits (B, classes) and labels (B,) are wanted, not"
                f" {tuple(logits.shape)} and {tuple(labels.shape)}"
            )
        self.count(logits.argmax(dim=1) != labels)

    def count(self, wrong: Tensor) -> None:
        """Count answers, of which some are wrong."""
        self.wrong += wrong.sum()
        self.seen += wrong.numel()

    def compute(self) -> Tensor:
        """Return the error, as float64 on the processor."""
        return 100 * self.wrong.cpu().double() / self.seen.cpu().double()


class AccuracyPercent(ErrorPercent):
    """Share of images whose most likely class is their label, in percent."""

    def compute(self) -> Tensor:
        """Return the accuracy, as float64 on the processor."""
        return 100 - super().compute()
