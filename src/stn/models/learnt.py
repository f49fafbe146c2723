"""What else than a fixed family of warps: a target that is learnt, and a bilinear form of low rank.

For the study of learnt families (`conf/study`); Section 3.2 names the first as a generalisation.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stn.models.mnist import Fcn, Shape
from stn.transformers import Affine, base_grid


class LearntTarget(nn.Module):
    """Affine warps of a target that is learnt: T_theta = A_theta B (Section 3.2).

    B (H, W, 2) holds a place for each target pixel and is the same for all images; it starts as the
    regular grid, with which this is `Affine`. For a target of another size it is interpolated.

    Args:
        size: (H, W) of B.
    """

    num_params = 6

    def __init__(self, size: Sequence[int]) -> None:
        super().__init__()
        self.moves = nn.Parameter(torch.zeros(1, 2, *size))  # from the regular grid

    def identity(self) -> Tensor:
        """Return the parameters (6,) that read the image at B."""
        return Affine().identity()

    def grid(self, theta: Tensor, size: tuple[int, int]) -> Tensor:
        """Return the sampling grid (B, H, W, 2) of theta (B, 6) for a target of size (H, W)."""
        moves = F.interpolate(self.moves, size, mode="bilinear", align_corners=True)[0]
        target = base_grid(size, moves.dtype, moves.device) + moves.permute(1, 2, 0)
        A = Affine().matrix(theta)
        return torch.einsum("bij,hwj->bhwi", A[:, :, :2], target) + A[:, None, None, :, 2]


class LowRankForm(nn.Module):
    """V = Q diag(theta) P U, with P, Q learnt and theta found in U: linear in U, of rank r.

    All pixels of all channels are one vector. P and Q start at random, theta at 1.

    Args:
        in_shape: (C, H, W) of U and of V.
        rank: r.
        hidden: units of each hidden layer of the localisation network.
    """

    def __init__(self, in_shape: Shape, rank: int, hidden: Sequence[int]) -> None:
        super().__init__()
        num = in_shape[0] * in_shape[1] * in_shape[2]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in zip([num, *hidden], hidden, strict=False):
            layers += [nn.Linear(before, after), nn.ReLU()]
        regression = nn.Linear(hidden[-1], rank)
        nn.init.zeros_(regression.weight)
        nn.init.ones_(regression.bias)
        self.localisation = nn.Sequential(*layers, regression)
        self.P, self.Q = nn.Linear(num, rank, bias=False), nn.Linear(rank, num, bias=False)

    def forward(self, U: Tensor) -> Tensor:
        """Map U (B, C, H, W) to V of the same shape."""
        theta = self.localisation(U)  # (B, r)
        return self.Q(theta * self.P(U.flatten(1))).view_as(U)


class LowRankFcn(nn.Module):
    """A `LowRankForm` where the `StFcn` has its transformer.

    Args:
        in_shape: (C, H, W) of U.
        num_classes: number of logits.
        width: units of the classifier's hidden layers.
        rank: of the form.
        hidden: units of each hidden layer of the localisation network.
    """

    def __init__(
        self, in_shape: Shape, num_classes: int, width: int, rank: int, hidden: Sequence[int]
    ) -> None:
        super().__init__()
        self.form = LowRankForm(in_shape, rank, hidden)
        self.classifier = Fcn(in_shape, num_classes, width)

    def forward(self, U: Tensor) -> Tensor:
        """Return the logits of U."""
        return self.classifier(self.form(U))
