"""What is measured inside a finished network, besides its error: `measures` of a table or study.

Each is called with the task of a run, its data and, if it asks for one, a reference: the network of
another row of the table. It returns one number, or None of a network without a transformer. All but
`Specialisation` are of the first spatial transformer, which has to read the image itself. What each
says of itself:

- `untrained`: whether it is of the network as training starts, and not as it ends;
- `reference`: the row of the table whose network is the reference; None for no reference.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stn.data.randomness import stream, uniform
from stn.tasks.consistency import consistency_residual
from stn.tasks.poses import poses, reposed
from stn.tasks.task import Task
from stn.transformers import SpatialTransformer, base_grid
from stn.transformers.grids import FAR

BATCH = 250


class OfTransformer(ABC):
    """A measure of the first transformer of a network; None of a network without one."""

    untrained: bool = False
    reference: ClassVar[str | None] = None

    def __call__(self, task: Task, data: Any, reference: nn.Module | None) -> float | None:
        """Measure."""
        transformer = first_transformer(task.network)
        return None if transformer is None else self.of(transformer, task, data)

    @abstractmethod
    def of(self, transformer: SpatialTransformer, task: Task, data: Any) -> float:
        """Measure a transformer of the task's network."""


@dataclass
class Displacement(OfTransformer):
    """Mean distance of the sampling grid from the regular one, in pixels of the test images."""

    num_images: int

    @torch.no_grad()
    def of(self, transformer: SpatialTransformer, task: Task, data: Any) -> float:  # noqa: D102
        moves = []
        for _, U, _ in batches(data, self.num_images):
            size = U.shape[2], U.shape[3]
            px = torch.tensor([(size[1] - 1) / 2, (size[0] - 1) / 2])
            moved = _grid(transformer, U).clamp(-FAR, FAR) - base_grid(size)
            moves.append((moved * px).norm(dim=-1).flatten())
        return torch.cat(moves).mean().item()


@dataclass
class ThetaGradient(OfTransformer):
    """How noisy the gradient of theta is, over batches of training images: a decimal logarithm.

    The gradient of a batch's loss by a shift of all its thetas, that is by the bias of the
    regression layer, has a mean over batches and a covariance.

    Args:
        quantity: `variance`, the mean of the covariance's diagonal; or `noise`, its trace relative
            to the squared length of the mean, which has no unit, so that families compare.
        num_batches: that is looked at, of the size that training has.
        untrained: whether as training starts.
    """

    quantity: Literal["variance", "noise"]
    num_batches: int
    untrained: bool

    def of(self, transformer: SpatialTransformer, task: Task, data: Any) -> float:  # noqa: D102
        thetas: list[Tensor] = []
        hook = transformer.localisation.register_forward_hook(lambda *told: thetas.append(told[2]))
        gradients = []
        for numbers in data.order("train").split(data.batch_size)[: self.num_batches]:
            thetas.clear()
            loss = task.loss(task.network, data.drawn("train", numbers))
            (gradient,) = torch.autograd.grad(loss, thetas[0])
            gradients.append(gradient.sum(dim=0).double())
        hook.remove()
        found = torch.stack(gradients)  # (batches, P)
        variance = found.var(dim=0)
        if self.quantity == "variance":
            return variance.mean().log10().item()
        return (variance.sum() / found.mean(dim=0).square().sum()).log10().item()


@dataclass
class LearntPose(OfTransformer):
    """The angle at which rotated digits come out of the transformer, counter-clockwise, in degrees.

    Args:
        quantity: `mean`, the circular mean over test images; or `spread`, their circular standard
            deviation.
        num_images: of the test set.
    """

    quantity: Literal["mean", "spread"]
    num_images: int

    @torch.no_grad()
    def of(self, transformer: SpatialTransformer, task: Task, data: Any) -> float:  # noqa: D102
        angles = []
        for numbers, U, _ in batches(data, self.num_images):
            to_digit = data.distortion.grid(numbers, data.key("test"))
            angles.append(_turn(_affine(to_digit) @ _affine(_grid(transformer, U))))
        angle = torch.cat(angles).double()
        x, y = angle.cos().mean(), angle.sin().mean()
        if self.quantity == "mean":
            return math.degrees(torch.atan2(y, x).item())
        return math.degrees((-2 * torch.hypot(x, y).log()).clamp(min=0).sqrt().item())


@dataclass
class Specialisation:
    """Do two transformers side by side take a digit each? In percent; None of other networks.

    A transformer specialises in a digit of an image where it brings that one to its pose, and the
    other not. This is the share of images and transformers with that, in whichever way of giving
    each transformer one of the two channels has more of it. The pose is the mean over images of how
    the digits of that channel come out of that transformer.

    Args:
        quantity: of the pose: `turn`, the angle; or `place`, where the digit's middle is.
        within: how far from the mean a digit may be: degrees, or pixels of the image.
        num_images: of the test set of `AdditionDataModule`.
        untrained: whether as training starts.
    """

    quantity: Literal["turn", "place"]
    within: float
    num_images: int
    untrained: bool
    reference: ClassVar[str | None] = None

    @torch.no_grad()
    def __call__(self, task: Task, data: Any, reference: nn.Module | None) -> float | None:
        """Measure."""
        two = [m for m in task.network.modules() if isinstance(m, SpatialTransformer)]
        if len(two) != 2:
            return None
        found = []
        for numbers, U, _ in batches(data, self.num_images):
            key = data.key("test")
            digits = [(numbers, key), data.second("test", numbers, key)]
            warps = torch.stack([_affine(data.distortion.grid(*digit)) for digit in digits])
            grids = torch.stack([_affine(_grid(transformer, U)) for transformer in two])
            found.append(warps @ grids[:, None])  # from outputs to digits
        A = torch.cat(found, dim=2)  # (transformer, channel, N, 3, 3)
        if self.quantity == "turn":
            turn = torch.polar(torch.ones(()), _turn(A))
            far = (turn / turn.mean(dim=2, keepdim=True)).angle().abs().rad2deg()
        else:
            px = torch.tensor([(side - 1) / 2 for side in (U.shape[3], U.shape[2])])
            place = torch.linalg.inv(A)[..., :2, 2] * px
            far = (place - place.mean(dim=2, keepdim=True)).norm(dim=-1)
        is_there = far <= self.within
        alone = (is_there & ~is_there.flip(1)).double().mean(dim=2)  # (transformer, channel)
        ways = alone.trace(), alone.flip(1).trace()
        return 100 * max(ways).item() / 2


@dataclass
class Consistency(OfTransformer):
    """Root of the mean `consistency_residual` of test images that are turned.

    Args:
        max_deg: the turns are uniform within it, either way.
        num_images: of the test set.
    """

    max_deg: float
    num_images: int

    @torch.no_grad()
    def of(self, transformer: SpatialTransformer, task: Task, data: Any) -> float:  # noqa: D102
        U, _ = data.drawn("test", numbers := data.order("test")[: self.num_images])
        (turns,) = uniform(stream(0, "turns"), numbers, 1).T
        angles = (2 * turns - 1) * math.radians(self.max_deg)
        return consistency_residual(transformer, U, angles).sqrt().item()


@dataclass
class PoseAttack:
    """Error in percent where each test image is shown in the worst pose that is found.

    Poses are looked for among those whose numbers (`stn.tasks.poses`) each lie within quantiles of
    what the reference's transformer finds in training images. A pose that the network gets wrong is
    enough, and so is the image as it is.

    Args:
        way: `gradient`, steps of the loss's sign, the first of a tenth of the range, less and less,
            from the image's own pose; or `random`, poses anywhere in the range.
        num_poses: that are tried.
        quantile: of the poses found in training, at either end, in [0, 0.5).
        num_images: of the test set, and of training.
        reference: the row with the transformer.
    """

    way: Literal["gradient", "random"]
    num_poses: int
    quantile: float
    num_images: int
    reference: str
    untrained: ClassVar[bool] = False

    def __call__(self, task: Task, data: Any, reference: nn.Module | None) -> float | None:
        """Measure."""
        transformer = None if reference is None else first_transformer(reference)
        if transformer is None:
            raise ValueError(f"{self.reference} has no transformer to find poses with")
        with torch.no_grad():
            U, _ = data.drawn("train", data.order("train")[: self.num_images])
            ends = torch.tensor([self.quantile, 1 - self.quantile])
            low, high = poses(transformer, U).quantile(ends, dim=0)
        wrong = []
        for numbers, U, labels in batches(data, self.num_images):
            with torch.no_grad():
                found = poses(transformer, U)
                failed = task.network(U).argmax(dim=1) != labels
            pose = found.clamp(low, high)
            for i in range(self.num_poses):
                if self.way == "random":
                    shares = uniform(stream(0, "poses", i), numbers, pose.shape[1])
                    pose = low + (high - low) * shares
                pose = pose.detach().requires_grad_()
                logits = task.network(reposed(U, found, pose))
                failed |= logits.argmax(dim=1) != labels
                if self.way == "gradient":
                    loss = F.cross_entropy(logits, labels, reduction="sum")
                    (gradient,) = torch.autograd.grad(loss, pose)
                    step = (high - low) / 10 * (1 - i / self.num_poses)
                    pose = (pose + step * gradient.sign()).clamp(low, high)
            wrong.append(failed)
        return 100 * torch.cat(wrong).double().mean().item()


def first_transformer(network: nn.Module) -> SpatialTransformer | None:
    """Return the first spatial transformer of a network; None if it has none."""
    return next((m for m in network.modules() if isinstance(m, SpatialTransformer)), None)


def _grid(transformer: SpatialTransformer, U: Tensor) -> Tensor:
    """Return the sampling grid (B, H, W, 2) of images U, with as many points as they have."""
    size = U.shape[2], U.shape[3]
    return transformer.transform.grid(transformer.theta(U), size)


def _turn(A: Tensor) -> Tensor:
    """Return the angle (...), in radians, at which digits are seen through maps A (..., 3, 3)."""
    return torch.atan2(A[..., 1, 0] - A[..., 0, 1], A[..., 0, 0] + A[..., 1, 1])


def _affine(grid: Tensor) -> Tensor:
    """Return the affine maps (B, 3, 3), homogeneous, that are nearest to grids (B, H, W, 2)."""
    regular = base_grid((grid.shape[1], grid.shape[2])).flatten(0, 1)  # of mean 0
    linear = (torch.linalg.pinv(regular) @ grid.flatten(1, 2)).mT
    rows = torch.cat([linear, grid.mean(dim=(1, 2))[:, :, None]], dim=2)
    last = torch.tensor([0.0, 0.0, 1.0]).expand(len(grid), 1, 3)
    return torch.cat([rows, last], dim=1)


def batches(data: Any, num_images: int) -> Iterator[tuple[Tensor, Tensor, Any]]:
    """Yield the first images of the test set: numbers (B,), images U (B, C, H, W), and targets."""
    for numbers in data.order("test")[:num_images].split(BATCH):
        yield numbers, *data.drawn("test", numbers)
