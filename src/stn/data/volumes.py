"""Digits as solids, turned and placed at random in a volume (Appendix A.3).

Conventions are those of `stn.data.distortions`, with an axis more: z runs along the depth, the
first side of a volume (D, H, W), and one looks along it. Lengths are voxels.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stn.data.distortions import DIGIT_PX
from stn.data.mnist import MnistDataModule
from stn.data.randomness import uniform
from stn.transformers.checks import whole_numbers
from stn.transformers.grids import affine_grid
from stn.transformers.samplers import sample


class Solids(NamedTuple):
    """What is in volumes: evaluated with, never trained on.

    Attributes:
        digits: (B, 1, S, S), as they are extruded.
        poses: (B, 3, 4), as of `Extruded.pose`.
        body_px: sides of the extruded digit in x, y and z, in voxels.
    """

    digits: Tensor
    poses: Tensor
    body_px: tuple[int, int, int]


class Extruded:
    """A digit extruded along z, turned about x, y and z by angles uniform in +-max_deg, and placed.

    Its box, turned as it is, lies anywhere inside the volume, so that nothing is cut off.

    Differs from the paper: it says that digits are extruded and placed at random in a volume; by
    how far they are turned, how large and how thick they are, is open.

    Args:
        max_deg: the largest angle about each axis.
        thickness_px: how thick a digit is.
        block_px: digits are shown smaller by this factor, each voxel a mean of so many pixels.
        size: (D, H, W) of the volumes.

    Raises:
        ValueError: the digit does not fit into the volume in every pose, or a number cannot be.
    """

    def __init__(
        self, *, max_deg: float, thickness_px: int, block_px: int, size: Sequence[int]
    ) -> None:
        if thickness_px < 2:
            raise ValueError(f"thickness_px must be from 2 up, not {thickness_px}")
        if block_px < 1 or DIGIT_PX % block_px:
            raise ValueError(f"block_px must divide {DIGIT_PX}, not {block_px}")
        self.max_deg, self.block_px = max_deg, block_px
        side = DIGIT_PX // block_px
        self.body_px = (side, side, thickness_px)  # in x, y and z
        diagonal = math.ceil(math.hypot(*self.body_px))
        depth, height, width = whole_numbers(
            f"size of a volume with a digit of {side} x {side} x {thickness_px} voxels",
            "(D, H, W)",
            size,
            least=diagonal,
        )
        self.size = depth, height, width

    def __call__(self, pool: Tensor, index: Tensor, key: int) -> Tensor:
        """Draws volumes (B, 1, *size) of the digits `pool[index]`."""
        grid = affine_grid(self.pose(index, key), self.size)  # (B, D, H, W, 3)
        faces = sample(self.digits(pool, index), grid[..., :2].flatten(1, 2))  # (B, 1, D H, W)
        half = (self.body_px[2] - 1) / 2
        inside = (half + 1 - half * grid[..., 2].abs()).clamp_(0, 1)  # (B, D, H, W)
        return faces.view(-1, 1, *self.size).mul_(inside[:, None]).clamp_(0, 1)

    def digits(self, pool: Tensor, index: Tensor) -> Tensor:
        """Return the digits as they are extruded: (B, 1, S, S) in [0, 1]."""
        digits = pool.index_select(0, index).float().div_(255)
        return F.avg_pool2d(digits, self.block_px) if self.block_px > 1 else digits

    def pose(self, index: Tensor, key: int) -> Tensor:
        """Where each point of the volume lies in the digit: matrices (B, 3, 4), (x, y, z).

        -1 and 1 are the centres of the border voxels, of the volume and of the extruded digit.
        """
        draws = uniform(key, index, 6)
        angles = torch.deg2rad((2 * draws[:, :3] - 1) * self.max_deg)
        turn = _rotation(*angles.T)  # from the digit to the volume, (B, 3, 3)
        body = torch.tensor(self.body_px, dtype=turn.dtype, device=turn.device)
        volume = torch.tensor(self.size[::-1], dtype=turn.dtype, device=turn.device)
        room = volume - (turn.abs() * body).sum(dim=2)  # (B, 3)
        centre = room * (draws[:, 3:] - 0.5)
        back = turn.mT
        shift = -(back * centre[:, None]).sum(dim=2, keepdim=True)  # (B, 3, 1)
        pose = torch.cat([back * ((volume - 1) / 2), shift], dim=2)
        return pose / ((body - 1) / 2)[:, None]


class VolumeDataModule(MnistDataModule):
    """MNIST as solids in volumes: on line for training, the same volumes every time otherwise.

    A batch reaches the task as (U (B, 1, D, H, W) float32 in [0, 1], labels (B,) int64).

    Args:
        max_deg, thickness_px, block_px, size: as in `Extruded`.
        others: as in `MnistDataModule`, but for the distortion.

    Raises:
        ValueError, DataError: as `Extruded` and `MnistDataModule`.
    """

    distortion: Extruded

    def __init__(
        self,
        max_deg: float,
        thickness_px: int,
        block_px: int,
        size: Sequence[int],
        **others: Any,
    ) -> None:
        solids = Extruded(max_deg=max_deg, thickness_px=thickness_px, block_px=block_px, size=size)
        super().__init__(solids, **others)

    def solids(self, split: str, numbers: Tensor) -> Solids:
        """Return how these samples of a split that is not drawn anew stand: for evaluation."""
        self.setup()
        digits = self.distortion.digits(self._splits[split].pool, numbers)
        pose = self.distortion.pose(numbers, self.key(split))
        return Solids(digits, pose, self.distortion.body_px)


def _rotation(about_x: Tensor, about_y: Tensor, about_z: Tensor) -> Tensor:
    """Rotations (B, 3, 3) about x, then y, then z, of angles (B,) in radians."""
    turns = []
    for axis, angle in enumerate((about_x, about_y, about_z)):
        cos, sin = angle.cos(), angle.sin()
        turn = torch.eye(3, dtype=angle.dtype, device=angle.device).repeat(len(angle), 1, 1)
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn[:, i, i], turn[:, j, j], turn[:, i, j], turn[:, j, i] = cos, cos, -sin, sin
        turns.append(turn)
    return turns[2] @ turns[1] @ turns[0]
