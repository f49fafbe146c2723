"""What is measured inside of networks, on networks of which it is known."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stn.data.distortions import RotateAbout, RotateTranslateScale
from stn.inspecting.measures import (
    Consistency,
    Displacement,
    LearntPose,
    PoseAttack,
    Specialisation,
    ThetaGradient,
)
from stn.models.mnist import Fcn, StFcn
from stn.transformers import Affine, Rotation, SpatialTransformer, Translation
from tests.transforms import Told

SIDE, NUM = 28, 12
ALL = torch.arange(NUM)
LABELS = ALL % 2
SQUARES = torch.zeros(NUM, 1, SIDE, SIDE, dtype=torch.uint8)
SQUARES[:, :, 9:19, 11:17] = 200


class Data:
    """Squares turned by 30 +- 80 degrees."""

    batch_size = 4
    distortion = RotateAbout(max_deg=80, centre_deg=30, size=(SIDE, SIDE))

    def order(self, split: str) -> Tensor:
        return torch.arange(NUM)

    def key(self, split: str) -> int:
        return {"train": 3, "test": 4}[split]

    def drawn(self, split: str, numbers: Tensor) -> tuple[Tensor, Tensor]:
        return self.distortion(SQUARES, numbers, self.key(split)), LABELS[numbers]


def task(network: nn.Module, scale: float = 1.0) -> Any:
    def loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return scale * F.cross_entropy(network(batch[0]), batch[1])

    return SimpleNamespace(network=network, loss=loss)


def alone(transform: Any, theta: Tensor) -> Any:
    return task(SpatialTransformer(Told(theta), transform))


class Pairs(Data):
    """Two squares an image, in a channel each."""

    def second(self, split: str, numbers: Tensor, key: int) -> tuple[Tensor, int]:
        return numbers.flip(0), key + 1

    def drawn(self, split: str, numbers: Tensor) -> tuple[Tensor, Tensor]:
        key = self.key(split)
        digits = [(numbers, key), self.second(split, numbers, key)]
        U = [self.distortion(SQUARES, *digit) for digit in digits]
        return torch.cat(U, dim=1), LABELS[numbers]


def angles_deg(numbers: Tensor = ALL, key: int = 4) -> Tensor:
    """How far each test image is turned: where the point (1, 0) of the image lies in its digit."""
    right = Data.distortion.grid(numbers, key)[:, :, -1].mean(dim=1)  # (N, 2), from 0
    return torch.atan2(right[:, 1], right[:, 0]).rad2deg()


def test_a_shift_is_a_displacement_by_as_many_pixels() -> None:
    theta = torch.tensor([[0.2, 0.0]]).repeat(NUM, 1)
    found = Displacement(NUM)(alone(Translation(), theta), Data(), None)
    assert found == pytest.approx(0.2 * (SIDE - 1) / 2, rel=1e-5)


def test_a_transformer_that_knows_the_angle_brings_all_to_one_pose() -> None:
    angle = torch.deg2rad(angles_deg())
    theta = (math.radians(20) - angle)[:, None]
    # A rotation by theta reads at R(theta); what it shows is turned by both together, here by 20.
    pose, spread = (
        LearntPose(quantity, NUM)(alone(Rotation(), theta), Data(), None)
        for quantity in ("mean", "spread")
    )
    assert pose == pytest.approx(20, abs=0.01)
    assert spread == pytest.approx(0, abs=0.05)


def test_one_that_does_nothing_leaves_the_poses_of_the_data() -> None:
    theta = Affine().identity().repeat(NUM, 1)
    found = [LearntPose(q, NUM)(alone(Affine(), theta), Data(), None) for q in ("mean", "spread")]
    turns = torch.polar(torch.ones(NUM), torch.deg2rad(angles_deg())).mean()
    wanted = [turns.angle().rad2deg(), (-2 * turns.abs().log()).sqrt().rad2deg()]
    assert found == pytest.approx([float(value) for value in wanted], abs=0.01)
    assert -50 < found[0] < 110


def test_the_gradient_of_theta_is_that_of_the_regression_layers_bias() -> None:
    torch.manual_seed(0)
    network, data = StFcn((1, SIDE, SIDE), 2, 6, Affine()), Data()
    bias = network.transformer.localisation.regression.bias
    gradients = []
    for numbers in data.order("train").split(4):
        loss = task(network).loss(network, data.drawn("train", numbers))
        gradients.append(torch.autograd.grad(loss, bias)[0].double())
    variance, mean = torch.stack(gradients).var(dim=0), torch.stack(gradients).mean(dim=0)
    wanted = {"variance": variance.mean(), "noise": variance.sum() / mean.square().sum()}
    for quantity, value in wanted.items():
        measure = ThetaGradient(quantity, 30, untrained=False)
        found = measure(task(network), data, None)
        assert found == pytest.approx(value.log10().item(), abs=1e-4)
        larger = measure(task(network, scale=10), data, None)
        assert larger - found == pytest.approx(2 * (quantity == "variance"), abs=1e-4)


def test_what_ignores_a_turn_is_as_inconsistent_as_the_turn() -> None:
    theta = Affine().identity().repeat(NUM, 1)
    nothing, some = (
        Consistency(max_deg, NUM)(alone(Affine(), theta), Data(), None) for max_deg in (0, 90)
    )
    assert nothing == 0
    assert 0.1 < some < 2


@pytest.mark.parametrize("swapped", [False, True])
def test_transformers_that_each_undo_the_turn_of_one_digit_are_specialised(swapped: bool) -> None:
    turns = angles_deg(), angles_deg(ALL.flip(0), 5)
    thetas = [-torch.deg2rad(turn)[:, None] for turn in (turns[::-1] if swapped else turns)]
    network = nn.ModuleList(SpatialTransformer(Told(theta), Rotation()) for theta in thetas)
    # One digit is upright; the other is turned by the difference, which is rarely near its mean.
    other = np.deg2rad([(turns[1] - turns[0]).numpy(), (turns[0] - turns[1]).numpy()])
    far = np.abs(np.angle(np.exp(1j * other) / np.exp(1j * other).mean(1, keepdims=True)))
    measure = Specialisation("turn", within=15, num_images=NUM, untrained=False)
    expected = 100 * (far > np.deg2rad(15)).mean()
    assert 50 < expected <= 100
    assert measure(task(network), Pairs(), None) == pytest.approx(expected)
    assert not Specialisation("turn", 15, NUM, untrained=True)(task(network[:1]), Pairs(), None)


def test_transformers_that_turn_alike_are_not_specialised() -> None:
    theta = -torch.deg2rad(angles_deg())[:, None]
    network = nn.ModuleList(SpatialTransformer(Told(theta), Rotation()) for _ in range(2))
    found = Specialisation("turn", 15, NUM, untrained=False)(task(network), Pairs(), None)
    assert found is not None
    assert found <= 50  # one of them, of which the digit is, and no digit is left for the other


def test_transformers_that_each_undo_the_shift_of_one_digit_are_specialised() -> None:
    class Shifted(Pairs):
        distortion = RotateTranslateScale(max_deg=0, scale_range=(0.7, 0.7), size=(SIDE, 2 * SIDE))

    data, size = Shifted(), torch.tensor([(2 * SIDE - 1) / 2, (SIDE - 1) / 2])
    digits = (ALL, 4), (ALL.flip(0), 5)
    # Where the middle of each digit is: x where A x + t = 0, with what the corners tell of A and t.
    grids = [data.distortion.grid(*digit) for digit in digits]
    slopes = [(grid[:, -1, -1] - grid[:, 0, 0]) / 2 for grid in grids]
    middles = [-grid.mean(dim=(1, 2)) / slope for grid, slope in zip(grids, slopes, strict=True)]
    network = nn.ModuleList(SpatialTransformer(Told(m), Translation()) for m in middles)
    other = torch.stack([middles[1] - middles[0], middles[0] - middles[1]]) * size
    far = (other - other.mean(dim=1, keepdim=True)).norm(dim=-1)
    expected = 100 * (far > 3).double().mean().item()
    assert expected > 50
    found = Specialisation("place", 3, NUM, untrained=False)(task(network), data, None)
    assert found == pytest.approx(expected)


def test_there_is_nothing_in_a_network_without_a_transformer() -> None:
    fcn = task(Fcn((1, SIDE, SIDE), 2, 4))
    measures = [Displacement(NUM), LearntPose("mean", NUM), Consistency(90, NUM)]
    measures.append(ThetaGradient("noise", 3, untrained=True))
    assert [measure(fcn, Data(), None) for measure in measures] == [None] * 4
    with pytest.raises(ValueError, match="fcn has no transformer"):
        PoseAttack("gradient", 3, 0.1, NUM, "fcn")(fcn, Data(), fcn.network)


class ByPlace(nn.Module):
    """Class 0 unless the brightness lies right of the middle by more than a margin."""

    def __init__(self, margin: float) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, U: Tensor) -> Tensor:
        x = torch.linspace(-1, 1, SIDE)
        right = (U[:, 0] * x).sum((1, 2)) / U[:, 0].sum((1, 2)).clamp(min=1e-6) - self.margin
        return 50 * torch.stack([-right, right], dim=1)


def shifts() -> SpatialTransformer:
    theta = Affine().identity().repeat(NUM, 1)
    theta[:, 2] = torch.linspace(-0.5, 0.5, NUM)
    return SpatialTransformer(Told(theta), Affine())


@pytest.mark.parametrize("way", ["gradient", "random"])
def test_an_attack_shifts_as_far_as_the_poses_that_were_found_and_no_further(way: Any) -> None:
    """All images are of class 0 by their place; half are labelled so, and those can be attacked."""
    near, far = (
        PoseAttack(way, 20, 0.05, NUM, "st")(task(ByPlace(margin)), Data(), shifts())
        for margin in (0.2, 1.2)
    )
    assert far == pytest.approx(50)  # the images of the other class, as they are
    assert near > 75
    still = SpatialTransformer(Told(Affine().identity().repeat(NUM, 1)), Affine())
    found = PoseAttack(way, 5, 0.05, NUM, "st")(task(ByPlace(0.2)), Data(), still)
    assert found == pytest.approx(50)
