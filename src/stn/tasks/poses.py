"""The poses that an affine transformer finds in images, and images given other poses.

What a transformer reads as A x of an image, a canonical pose, is read as A A'^-1 x of the same
image where it is to be shown in the pose of another one, whose matrix is A'. So a distribution of
theta is one of images: for the study `adversarial` (`conf/study`), where images are drawn from it
in training and where an attack looks for the worst of them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stn.tasks.classification import CrossEntropy
from stn.transformers import SpatialTransformer, affine_grid, sample


def poses(transformer: SpatialTransformer, U: Tensor) -> Tensor:
    """Return the poses (B, 6) that a transformer finds in the images U.

    The matrix of theta is a rotation after an upper triangle, and a shift. A pose is the angle in
    radians, the triangle's [0, 0], [0, 1] and [1, 1], and the shift in x and y: each of these has a
    range, which the entries of a matrix that rotates do not.

    Raises:
        ValueError: the warps are not affine.
    """
    family = transformer.transform
    if not hasattr(family, "matrix"):
        raise ValueError(f"poses are of affine warps, not of {family}")
    A = family.matrix(transformer.theta(U))
    first, second, shift = A.unbind(dim=2)  # (B, 2) each
    length = first.norm(dim=1, keepdim=True)
    cos, sin = (first / length).unbind(dim=1)
    shear = cos * second[:, 0] + sin * second[:, 1]
    height = cos * second[:, 1] - sin * second[:, 0]
    return torch.stack([torch.atan2(sin, cos), length[:, 0], shear, height, *shift.T], dim=1)


def matrices(poses: Tensor) -> Tensor:
    """Return the matrices (B, 3, 3), homogeneous, of poses (B, 6)."""
    angle, length, shear, height, x, y = poses.unbind(dim=1)
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(x), torch.ones_like(x)
    rows = [
        cos * length,
        cos * shear - sin * height,
        x,
        sin * length,
        sin * shear + cos * height,
        y,
    ]
    return torch.stack([*rows, zero, zero, one], dim=1).view(-1, 3, 3)


def reposed(U: Tensor, found: Tensor, wanted: Tensor) -> Tensor:
    """Show images in other poses.

    Args:
        U: images (B, C, H, W).
        found: their poses (B, 6).
        wanted: those to be shown (B, 6).
    """
    A = matrices(found) @ torch.linalg.inv(matrices(wanted))
    return sample(U, affine_grid(A[:, :2], (U.shape[2], U.shape[3])))


class TaughtCrossEntropy(CrossEntropy):
    """Trains a `TaughtCnn`: its ST-CNN on the images, its CNN on images in poses of each other.

    The pose that an image gets is drawn from a kernel density over those that the ST-CNN finds in
    the batch: that of another image, plus a normal draw of `bandwidth` times the batch's standard
    deviation. At the start all poses are the same, and images stay as they are.

    Args:
        bandwidth: of the kernel, relative.
        label_smoothing: as in `CrossEntropy`.

    Raises:
        ValueError: a bandwidth below 0.
    """

    def __init__(self, bandwidth: float, label_smoothing: float = 0.0) -> None:
        super().__init__(label_smoothing)
        if bandwidth < 0:
            raise ValueError(f"bandwidth must not be negative, got {bandwidth}")
        self.bandwidth = bandwidth

    def __call__(self, network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Return the loss of a batch (U, labels)."""
        U, labels = batch
        teacher: nn.Module = network.teacher  # type: ignore[assignment]
        with torch.no_grad():
            found = poses(teacher.transformer, U)  # type: ignore[arg-type]
            others = found[torch.randperm(len(U), device=U.device)]
            noise = self.bandwidth * found.std(dim=0, correction=0) * torch.randn_like(found)
            shown = reposed(U, found, others + noise)
        of_teacher = F.cross_entropy(teacher(U), labels, label_smoothing=self.label_smoothing)
        return of_teacher + super().__call__(network, (shown, labels))
