import math
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from stn.models.mnist import Fcn, StFcn
from stn.tasks.classification import CrossEntropy
from stn.tasks.consistency import ConsistentCrossEntropy, consistency_residual
from stn.transformers import (
    Affine,
    FullyConnectedLocalisation,
    Projective,
    Similarity,
    SpatialTransformer,
)

ANGLES = torch.tensor([0.3, -1.2, 2.0])


class Moments(nn.Module):
    """A localisation network that knows the answer: it turns the image's long axis down.

    The images are lines through the middle, and the transform is `Similarity`.
    """

    def forward(self, U: Tensor) -> Tensor:
        side = torch.linspace(-1, 1, U.shape[2], dtype=U.dtype)
        y, x = torch.meshgrid(side, side, indexing="ij")
        xx, yy, xy = (U[:, 0].mul(m).sum((1, 2)) for m in (x * x, y * y, x * y))
        angle = torch.atan2(2 * xy, yy - xx) / 2  # of the axis from y
        zero = torch.zeros_like(angle)
        return torch.stack([torch.cos(angle), -torch.sin(angle), zero, zero], dim=1)


def bars(size: int = 41) -> Tensor:
    """Three images of a blurred bar along y."""
    side = torch.linspace(-1, 1, size, dtype=torch.float64)
    bar = torch.exp(-((side[None] / 0.1) ** 2) - (side[:, None] / 0.4) ** 2)
    return bar.expand(3, 1, -1, -1)


def test_a_transformer_that_undoes_a_turn_has_no_residual() -> None:
    knows = SpatialTransformer(Moments(), Similarity())
    angles = torch.tensor([0.3, -0.7, 0.5], dtype=torch.float64)
    assert consistency_residual(knows, bars(), angles) < 1e-4


def test_one_that_does_nothing_has_the_turn_as_residual() -> None:
    localisation = FullyConnectedLocalisation((1, 9, 9), Affine(), (4,))
    found = consistency_residual(
        SpatialTransformer(localisation, Affine()), torch.rand(3, 1, 9, 9), ANGLES
    )
    rotation = torch.stack([torch.cos(ANGLES) - 1, torch.sin(ANGLES)])
    wanted = 2 * rotation.square().sum() / (3 * 6)
    torch.testing.assert_close(found, wanted)


def test_a_weight_of_zero_is_cross_entropy_and_every_other_adds_the_residual() -> None:
    network = StFcn((1, 9, 9), 4, 6, Affine())
    batch = torch.rand(5, 1, 9, 9), torch.arange(5) % 4
    plain = CrossEntropy(0.1)(network, batch)
    torch.testing.assert_close(ConsistentCrossEntropy(0.0, 90, 0.1)(network, batch), plain)
    losses = []
    for weight in (1.0, 2.0):
        torch.manual_seed(0)
        losses.append(ConsistentCrossEntropy(weight, 90, 0.1)(network, batch) - plain)
    torch.testing.assert_close(losses[1], 2 * losses[0])
    torch.manual_seed(0)
    angles = (2 * torch.rand(5) - 1) * math.pi / 2
    residual = consistency_residual(network.transformer, batch[0], angles)
    torch.testing.assert_close(losses[0], residual)


def test_a_network_without_a_transformer_has_nothing_to_be_consistent() -> None:
    network, batch = Fcn((1, 9, 9), 4, 6), (torch.rand(5, 1, 9, 9), torch.arange(5) % 4)
    loss = partial(ConsistentCrossEntropy, max_deg=90)
    assert torch.equal(loss(3.0)(network, batch), CrossEntropy()(network, batch))
    with pytest.raises(ValueError, match="weight must not be negative"):
        loss(-1.0)


def test_warps_that_are_not_affine_are_refused() -> None:
    network = StFcn((1, 9, 9), 4, 6, Projective())
    with pytest.raises(ValueError, match="consistency is of affine warps"):
        consistency_residual(network.transformer, torch.rand(3, 1, 9, 9), ANGLES)
