"""All families of warps, once: a new one is covered by every test of transforms by being listed."""

from collections.abc import Sequence
from itertools import cycle

import pytest
import torch
from torch import Tensor, nn

from stn.transformers import (
    KERNELS,
    Affine,
    Affine3d,
    Attention,
    CubicSpline,
    Diffeomorphic,
    FourCorners,
    PiecewiseAffine,
    Projective,
    Rotation,
    Similarity,
    ThinPlateSpline,
    Transform,
    Translation,
)

# As `conf/transform` has them; then the same families otherwise.
CONFIGURED: list[Transform] = [
    Translation(),
    Attention(),
    Rotation(),
    Similarity(),
    Affine(),
    Projective(),
    ThinPlateSpline(),
    PiecewiseAffine(),
    FourCorners(),
    CubicSpline(),
    Diffeomorphic(),
]
OF_VOLUMES: list[Transform] = [Affine3d()]  # tests/transformers/test_volumes.py
TRANSFORMS = [
    *CONFIGURED,
    ThinPlateSpline((2, 5)),
    PiecewiseAffine((5, 3)),
    CubicSpline((2, 5)),
    Diffeomorphic((5, 3), 1),
]

every_transform = pytest.mark.parametrize("transform", TRANSFORMS, ids=str)
every_kernel = pytest.mark.parametrize("kernel", KERNELS)


def each_with_one_of(kernels: Sequence[str]) -> pytest.MarkDecorator:
    """Each transform with one kernel, in turn: grids and kernels do not know of each other."""
    pairs = [*zip(TRANSFORMS, cycle(kernels), strict=False)]
    return pytest.mark.parametrize(("transform", "kernel"), pairs, ids=str)


each_with_a_kernel = each_with_one_of(KERNELS)
each_with_a_differentiable_kernel = each_with_one_of(["bilinear", "bicubic"])


class Told(nn.Module):
    """A localisation network that says what it was told, whatever the images."""

    def __init__(self, theta: Tensor) -> None:
        super().__init__()
        self.theta = theta

    def forward(self, U: Tensor) -> Tensor:
        return self.theta[: len(U)]


def near_identity(transform: Transform, batch: int = 3, spread: float = 0.2) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(batch, transform.num_params, dtype=torch.float64, generator=generator)
    return transform.identity().double() + spread * noise
