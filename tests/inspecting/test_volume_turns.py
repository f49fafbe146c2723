import math

import pytest
import torch
from torch import Tensor, nn

from stn.data.volumes import Extruded, Solids
from stn.inspecting.volume_turns import before_and_after, turns
from stn.transformers import Affine, Affine3d, SpatialTransformer, affine_grid, sample

POOL = torch.zeros(3, 1, 28, 28, dtype=torch.uint8)
POOL[0, 0, 5:22, 8:11] = POOL[0, 0, 19:22, 8:20] = 255  # an L
POOL[1, 0, 4:24, 12:15] = POOL[1, 0, 4:7, 6:22] = 255  # a T
POOL[2, 0, 6:22, 6:9] = POOL[2, 0, 12:15, 6:22] = 255
NUMBERS = torch.arange(3)
IDENTITY = torch.eye(3, 4).expand(3, 3, 4)


class Given(Extruded):
    """Solids at the middle of the volume, turned as it is said: the same all."""

    def __init__(self, about: str, deg: float) -> None:
        super().__init__(max_deg=0, thickness_px=20, block_px=1, size=(49, 51, 47))
        i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[about]
        self.turn = torch.eye(3)
        angle = math.radians(deg)
        self.turn[i, i] = self.turn[j, j] = math.cos(angle)
        self.turn[i, j], self.turn[j, i] = -math.sin(angle), math.sin(angle)

    def pose(self, index: Tensor, key: int) -> Tensor:
        volume, body = torch.tensor(self.size[::-1]) - 1, torch.tensor(self.body_px) - 1
        pose = torch.zeros(len(index), 3, 4)
        pose[:, :, :3] = self.turn.T * volume / body[:, None]
        return pose

    def back(self) -> Tensor:
        """The matrices A (B, 3, 4) that show the solids upright."""
        volume = torch.tensor(self.size[::-1]) - 1
        A = torch.zeros(3, 3, 4)
        A[:, :, :3] = self.turn * volume / volume[:, None]
        return A


def solids(given: Given) -> Solids:
    return Solids(given.digits(POOL, NUMBERS), given.pose(NUMBERS, 0), given.body_px)


@pytest.mark.parametrize("about", ["x", "y", "z"])
@pytest.mark.parametrize("deg", [-40.0, 0.0, 25.0])
def test_what_stands_upright_agrees_and_what_is_tilted_does_not(about: str, deg: float) -> None:
    given = Given(about, deg)
    U = given(POOL, NUMBERS, 0)
    before = turns(U, IDENTITY, solids(given))
    tilt, turn = (0.0, deg) if about == "z" else (abs(deg), 0.0)
    torch.testing.assert_close(before.tilt_deg, torch.full((3,), tilt), atol=1e-3, rtol=0)
    torch.testing.assert_close(before.turn_deg, torch.full((3,), turn), atol=1e-3, rtol=0)
    assert not before.is_mirrored.any()
    assert (before.agreement > 0.99).all() if tilt == 0 else (before.agreement < 0.9).all()
    V = sample(U, affine_grid(given.back(), given.size))
    after = turns(V, given.back(), solids(given))
    assert after.tilt_deg.max() < 1e-3
    assert after.turn_deg.abs().max() < 1e-3
    assert (after.agreement > 0.97).all()


def test_size_and_place_in_the_image_do_not_matter() -> None:
    given = Given("x", 0.0)
    U = given(POOL, NUMBERS, 0)
    A = 0.7 * torch.eye(3, 4).repeat(3, 1, 1)
    A[:, :, 3] = torch.tensor([0.2, -0.1, 0.15])
    found = turns(sample(U, affine_grid(A, (40, 60, 55))), A, solids(given))
    assert found.tilt_deg.max() < 1e-3
    assert (found.agreement > 0.98).all()
    torch.testing.assert_close(found.depth, torch.full((3,), 0.7))


def test_seen_from_behind_is_mirrored() -> None:
    given = Given("y", 0.0)
    A = torch.eye(3, 4).repeat(3, 1, 1)
    A[:, 0, 0] = A[:, 2, 2] = -1
    found = turns(sample(given(POOL, NUMBERS, 0), affine_grid(A, given.size)), A, solids(given))
    assert found.is_mirrored.all()
    assert found.tilt_deg.max() < 1e-3
    assert (found.agreement > 0.99).all()


class Data:
    """A data module of three solids."""

    def __init__(self, given: Given) -> None:
        self.given = given

    def order(self, split: str) -> Tensor:
        return NUMBERS

    def drawn(self, split: str, numbers: Tensor) -> tuple[Tensor, Tensor]:
        return self.given(POOL, numbers, 0), numbers

    def solids(self, split: str, numbers: Tensor) -> Solids:
        return solids(self.given)


class Fixed(nn.Module):
    """A localisation network that always says the same."""

    def __init__(self, theta: Tensor) -> None:
        super().__init__()
        self.theta = theta

    def forward(self, U: Tensor) -> Tensor:
        return self.theta


def test_a_network_is_measured_before_and_behind_its_transformer() -> None:
    given = Given("x", 30.0)
    network = SpatialTransformer(Fixed(given.back().flatten(1)), Affine3d())
    before, after = before_and_after(network, Data(given), "test")
    assert before.tilt_deg.tolist() == pytest.approx([30.0] * 3, abs=1e-3)
    assert after.tilt_deg.max() < 1e-3
    assert (after.agreement > before.agreement).all()


@pytest.mark.parametrize("transform", [None, Affine()])
def test_a_network_without_a_transformer_of_volumes_is_named(transform: Affine | None) -> None:
    network: nn.Module = nn.Flatten()
    if transform is not None:
        layer = SpatialTransformer(Fixed(torch.eye(2, 3).flatten().expand(3, 6)), transform)
        network = nn.Sequential(nn.Flatten(1, 2), layer)
    with pytest.raises(ValueError, match="one transformer, an affine one of volumes"):
        before_and_after(network, Data(Given("x", 0.0)), "test")
