"""Co-localisation: images that all show a digit of one class somewhere (Appendix A.2)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stn.data.distortions import DIGIT_PX
from stn.data.mnist import NUM_CLASSES, divided
from stn.data.mnist_source import fetch_mnist, load_mnist
from stn.data.pool import PoolDataModule, Samples, Split, windows
from stn.data.randomness import integers, permutation, stream, uniform
from stn.transformers.checks import whole_numbers


class Labelled(NamedTuple):
    """Digits (N, 1, 28, 28) in [0, 1], and their classes (N,): for the encoder."""

    digits: Tensor
    classes: Tensor


class ColocalisationDataModule(PoolDataModule):
    """Images with a digit of one class each, or of several, at random places that do not overlap.

    The images that are co-localised are the test set, and no other: training and test show the
    same ones, whose digits are of MNIST's test set. Those of validation are others, and show
    whether a transformer finds the digit in images that it was not optimised on. Each seed has
    images of its own.

    A batch reaches the task as (U (B, 1, H, W) in [0, 1], boxes (B, K, 4)): left, top, right and
    bottom of the 28 x 28 square of each digit, -1 and 1 the centres of the image's border pixels.
    A batch of training has `Labelled` digits of MNIST's training set in the place of boxes, out of
    the middle by up to `shift_px`, as the digits of crops are.

    Args:
        classes: K, of the digits that each image shows.
        num_images: to be co-localised, and as many for validation.
        passes: how often an epoch of training shows each image.
        num_patches: squares cut at random out of other digits, added at random places.
        patch_px: their side.
        size: (H, W) of the images.
        shift_px: of labelled digits, uniform in x and in y; what leaves the square is cut off.
        num_val: training images of MNIST that are held out, for validation.
        batch_size, seed, data_seed, data_dir: as in `PoolDataModule`; the last holds `mnist/`.

    Raises:
        ValueError: a number is out of range; a class has not so many digits (on `setup`).
        DataError: the data are missing or damaged (on `prepare_data` or `setup`).
    """

    def __init__(
        self,
        classes: Sequence[int],
        num_images: int,
        passes: int,
        num_patches: int,
        patch_px: int,
        size: Sequence[int],
        shift_px: int,
        num_val: int,
        batch_size: int,
        seed: int,
        data_seed: int,
        data_dir: str | Path,
    ) -> None:
        super().__init__(batch_size, seed, data_seed, data_dir)
        if not classes or not {*classes} <= {*range(NUM_CLASSES)}:
            raise ValueError(f"classes must be some of 0 to {NUM_CLASSES - 1}, not {[*classes]}")
        if num_images < 2:
            raise ValueError(f"co-localisation compares images: two at least, not {num_images}")
        if passes < 1 or min(num_patches, shift_px) < 0 or not 0 < patch_px <= DIGIT_PX:
            raise ValueError(
                "wanted are passes from 1 up, num_patches and shift_px from 0 up, and patch_px in"
                f" 1..{DIGIT_PX}, not {passes}, {num_patches}, {shift_px} and {patch_px}"
            )
        height, width = whole_numbers("size", "(H, W)", size, least=DIGIT_PX)
        self.size = height, width
        # Each digit leaves no place for others in so many columns, or rows.
        if max(self.size) - DIGIT_PX + 1 <= (len(classes) - 1) * (2 * DIGIT_PX - 1):
            raise ValueError(f"{len(classes)} digits do not fit side by side into {self.size}")
        self.classes, self.num_images, self.passes = (*classes,), num_images, passes
        self.num_patches, self.patch_px = num_patches, patch_px
        self.shift_px, self.num_val = shift_px, num_val

    def prepare_data(self) -> None:
        """Fetches the files, if they are not there (one process does this)."""
        fetch_mnist(self.data_dir)

    def load(self) -> tuple[Mapping[str, Split], str]:
        """Reads the digits, and chooses those to be shown: they lead the pool of their split."""
        mnist = load_mnist(self.data_dir)
        self.labelled, held_out = divided(mnist, self.num_val)
        test = self._chosen("test", mnist.test_images, mnist.test_labels)
        return {
            "train": Split(test.pool, test.targets.repeat(self.passes, 1)),
            "val": self._chosen("val", *held_out),
            "test": test,
        }, mnist.sha256

    def _chosen(self, split: str, images: Tensor, labels: Tensor) -> Split:
        """Put the digits of the images first, those of image 0, of image 1, ...; then all."""
        chosen = []
        for place, digit in enumerate(self.classes):
            found = (labels == digit).nonzero()[:, 0]
            if len(found) < self.num_images:
                raise ValueError(
                    f"class {digit} has {len(found)} digits for {split}, and num_images is"
                    f" {self.num_images}: co-localisation needs as many, and two at least"
                )
            order = permutation(stream(self.seed, f"digits/{split}/{place}"), len(found))
            chosen.append(found[order[: self.num_images]])
        first = torch.stack(chosen, dim=1).flatten()
        classes = torch.tensor(self.classes).expand(self.num_images, -1)
        return Split(torch.cat([images[first], images]), classes)

    def count_images(self) -> dict[str, int]:
        """Images of each split; those of training and test are the same."""
        self.setup()
        num = dict.fromkeys(("train", "val", "test"), self.num_images)
        return num | {"labelled": len(self.labelled.targets)}

    def on_after_batch_transfer(self, batch: Samples, dataloader_idx: int) -> tuple[Tensor, Any]:
        """Draws the images where the batch now is, and says where their digits are."""
        U, _ = super().on_after_batch_transfer(batch, dataloader_idx)
        if batch.split != "train":
            return U, self.boxes(batch.split, batch.numbers)
        pool, labels = self.labelled
        draws = uniform(stream(batch.key, "labelled"), batch.numbers.cpu(), 3)
        chosen = (draws[:, 0] * len(labels)).long().clamp(max=len(labels) - 1)
        wide = F.pad(pool[chosen], [self.shift_px] * 4)
        digits = windows(wide, torch.arange(len(wide)), DIGIT_PX, draws[:, 1:])
        return U, Labelled(digits.to(U.device), labels[chosen].to(U.device))

    def panel_batch(self, num: int) -> tuple[Tensor, Tensor]:
        """The same images for every picture: the first of those that are co-localised."""
        return self.drawn("test", self.order("test")[:num])

    def draw(self, split: str, pool: Tensor, numbers: Tensor, key: int) -> Tensor:
        """Draws images (B, 1, H, W): digits and patches added, cut off at white."""
        numbers, num_digits = numbers % self.num_images, len(self.classes)
        of_images = numbers[:, None] * num_digits + torch.arange(num_digits, device=pool.device)
        canvas = torch.zeros(len(numbers), self.size[0] * self.size[1], device=pool.device)
        digits = pool[of_images].float().div_(255)  # (B, K, 1, 28, 28)
        _add(canvas, digits, self._corners(split, numbers), self.size[1])
        if self.num_patches:
            patches, corners = self._patches(split, pool, numbers)
            _add(canvas, patches, corners, self.size[1])
        return canvas.clamp_(max=1).view(-1, 1, *self.size)

    def boxes(self, split: str, numbers: Tensor) -> Tensor:
        """Where the digits of these images are: (B, K, 4)."""
        corners = self._corners(split, numbers % self.num_images).flip(2)  # (x, y)
        sides = torch.tensor([self.size[1], self.size[0]], device=numbers.device)
        ends = torch.cat([corners, corners + DIGIT_PX - 1], dim=2)
        return 2 * ends / (sides - 1).repeat(2) - 1

    def _key(self, split: str, purpose: str) -> int:
        """The key of draws that are the same in training as in the test, in all epochs."""
        return stream(self.seed, f"{'test' if split == 'train' else split}/{purpose}")

    def _corners(self, split: str, numbers: Tensor) -> Tensor:
        """Row and column of the first pixel of each digit (B, K, 2), uniform among the free."""
        ends = (torch.arange(side - DIGIT_PX + 1, device=numbers.device) for side in self.size)
        places = torch.cartesian_prod(*ends)  # (P, 2)
        free = torch.ones(len(numbers), len(places), dtype=torch.bool, device=numbers.device)
        draws = uniform(self._key(split, "places"), numbers, len(self.classes))
        corners = []
        for share in draws.T:
            rank = (share * free.sum(dim=1)).long()
            at = (free.cumsum(dim=1) > rank[:, None]).int().argmax(dim=1)
            corners.append(places[at])
            free &= ((places - places[at][:, None]).abs() >= DIGIT_PX).any(dim=2)
        return torch.stack(corners, dim=1)

    def _patches(self, split: str, pool: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """Draw patches (B, P, 1, side, side) of other digits, and their places (B, P, 2)."""
        start = self.num_images * len(self.classes)  # the chosen digits are there again, behind
        ranges = [len(pool) - start, *(side - self.patch_px + 1 for side in self.size)]
        drawn = integers(self._key(split, "patches"), numbers, ranges * self.num_patches)
        drawn = drawn.view(len(numbers), self.num_patches, 3)
        cut = uniform(self._key(split, "cuts"), numbers, 2 * self.num_patches).view(-1, 2)
        patches = windows(pool, start + drawn[..., 0].flatten(), self.patch_px, cut)
        return patches.view(len(numbers), self.num_patches, *patches.shape[1:]), drawn[..., 1:]


def _add(canvas: Tensor, squares: Tensor, corners: Tensor, width: int) -> None:
    """Add squares (B, N, 1, S, S) to images (B, H W) whose rows have `width` pixels, in place."""
    steps = torch.arange(squares.shape[-1], device=canvas.device)
    inside = (steps[:, None] * width + steps).flatten()
    first = corners[..., 0] * width + corners[..., 1]
    canvas.scatter_add_(1, (first[..., None] + inside).flatten(1), squares.flatten(1))
