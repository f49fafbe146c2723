"""Whole house numbers: a head for each digit, right only together (Section 4.2)."""

import torch.nn.functional as F
from torch import Tensor, nn

from stn.tasks.classification import ErrorPercent

NONE = 10  # the class of a head that sees no digit


class HouseNumberCrossEntropy:
    """Cross entropy summed over the heads, mean over the images.

    Logits are (B, heads, classes), digits (B, heads).
    """

    def __call__(self, network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Return the loss of a batch (U, digits)."""
        U, digits = batch
        return F.cross_entropy(network(U).transpose(1, 2), digits, reduction="sum") / len(U)


class NumberErrorPercent(ErrorPercent):
    """Share of images whose number is not right as a whole, in percent.

    Right is a number when its length and all of its digits are: when all heads are.
    """

    def update(self, logits: Tensor, digits: Tensor) -> None:
        """Count the mistakes of a batch."""
        self.count((_read(logits, digits) != digits).any(dim=1))


class DigitErrorPercent(ErrorPercent):
    """Share of the digits that there are which are not read right, in percent."""

    def update(self, logits: Tensor, digits: Tensor) -> None:
        """Count the mistakes of a batch."""
        self.count((_read(logits, digits) != digits)[digits != NONE])


class LengthErrorPercent(ErrorPercent):
    """Share of images whose number is read with another length, in percent.

    The length is the number of heads before the first that sees no digit.
    """

    def update(self, logits: Tensor, digits: Tensor) -> None:
        """Count the mistakes of a batch."""
        self.count(_length(_read(logits, digits)) != _length(digits))


def _length(digits: Tensor) -> Tensor:
    return (digits != NONE).cumprod(dim=1).sum(dim=1)


def _read(logits: Tensor, digits: Tensor) -> Tensor:
    """Return the most likely digits (B, heads).

    Raises:
        ValueError: the shapes do not fit, or a number has no digit.
    """
    if logits.ndim != 3 or logits.shape[:2] != digits.shape:
        raise ValueError(
            "wanted are logits (B, heads, classes) and digits (B, heads), not"
            f" {tuple(logits.shape)} and {tuple(digits.shape)}"
        )
    if (digits[:, 0] == NONE).any():
        raise ValueError("a house number has no digit")
    return logits.argmax(dim=2)


def written(classes: Tensor) -> str:
    """Write the class of an image, or the number that several heads (5,) read."""
    if classes.numel() == 1:
        return str(classes.item())
    return "".join(str(digit) for digit in classes.tolist() if digit != NONE) or "nothing"
