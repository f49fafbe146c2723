import math

import pytest
import torch
from torch import nn

from stn.data.contract import Places
from stn.inspecting.looks import Looks, facings, look
from stn.transformers import Affine, Attention, ConvLocalisation, SpatialTransformer
from stn.transformers import ThinPlateSpline as Spline


def attention(scale: float, x: float, y: float) -> torch.Tensor:
    return torch.tensor([[scale, 0, x], [0, scale, y], [0, 0, 1.0]])


def test_what_lies_in_a_crop_and_how_far() -> None:
    looks = Looks(attention(0.5, -0.5, 0.25).expand(1, 1, 3, 3), torch.zeros(1, 2))
    points = torch.tensor([[[-0.5, 0.25], [-0.99, 0.7], [0.05, 0.25], [-0.5, -0.3]]])
    assert looks.contains(points).tolist() == [[[True, True, False, False]]]
    wanted = [0, math.hypot(0.49, 0.45), 0.55, 0.55]
    torch.testing.assert_close(looks.distances(points), torch.tensor([[wanted]]))
    assert looks.scales().item() == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("box", "share"),
    [((-1.0, -0.25, 0.0, 0.75), 1.0), ((-1.0, -0.25, 1.0, 0.75), 0.5), ((0.5, 0.8, 0.9, 1.0), 0.0)],
)
def test_how_much_of_a_box_is_read(box: tuple[float, ...], share: float) -> None:
    looks = Looks(attention(0.5, -0.5, 0.25).expand(1, 1, 3, 3), torch.zeros(1, 2))
    assert looks.covered(torch.tensor([box])).item() == pytest.approx(share)


class Fixed(nn.Module):
    """A localisation network that always says the same."""

    def __init__(self, *theta: float) -> None:
        super().__init__()
        self.theta = torch.tensor(theta)

    def forward(self, U: torch.Tensor) -> torch.Tensor:
        return self.theta.expand(len(U), -1)


class Images:
    """Two images, as of a data module."""

    U = torch.rand(2, 1, 9, 12)

    def order(self, split: str) -> torch.Tensor:
        return torch.arange(2)

    def drawn(self, split: str, numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.U[numbers], torch.zeros(len(numbers))


class Both(nn.Module):
    """Two transformers, one behind the other or side by side."""

    def __init__(self, behind: bool) -> None:
        super().__init__()
        self.first = SpatialTransformer(Fixed(0.5, 0.5, 0.0), Attention())
        self.second = SpatialTransformer(Fixed(0.5, 0, 0, 0, 0.5, 0.5), Affine())
        self.behind = behind

    def forward(self, U: torch.Tensor) -> torch.Tensor:
        V = self.first(U)
        return self.second(V * 1.5 if self.behind else U).flatten(1)


@pytest.mark.parametrize("behind", [True, False])
def test_transformers_behind_one_another_read_by_the_product(behind: bool) -> None:
    first, second = attention(0.5, 0.5, 0.0), attention(0.5, 0.0, 0.5)
    second[0, 0], second[1, 1] = 0.5, 0.5
    looks = look(Both(behind), Images(), "test")
    torch.testing.assert_close(looks.A[0, 1], first)
    torch.testing.assert_close(looks.A[1, 1], first @ second if behind else second)
    assert looks.outputs.shape == (2, 9 * 12)


def test_what_cannot_be_told_is_said() -> None:
    with pytest.raises(ValueError, match="no transformer"):
        look(nn.Flatten(), Images(), "test")
    spline = SpatialTransformer(ConvLocalisation((1, 30, 30), Spline()), Spline())
    data = Images()
    data.U = torch.rand(2, 1, 30, 30)
    with pytest.raises(ValueError, match="not affine"):
        look(spline, data, "test")


def test_images_are_told_apart_by_the_way_they_face() -> None:
    left = torch.tensor([[-0.4, -0.1], [0.1, 0.2], [0.4, 0.0]])  # beak, belly, tail
    right = left * torch.tensor([-1, 1])
    boxes = torch.tensor([[-0.5, -0.25, 0.5, 0.25]]).repeat(3, 1)
    shift = torch.tensor([0.2, 0.3])
    points = torch.stack([left, right, left + shift])
    boxes[2] += shift.repeat(2)
    is_seen = torch.tensor([[True, True, True], [True, False, True], [False, True, True]])
    places = Places(("beak", "belly", "tail"), points, is_seen, boxes)
    A = torch.stack([attention(0.25, -0.25, 0), attention(0.25, 0.25, 0), attention(0.5, 0.2, 0.3)])
    first, other = facings(Looks(A[None], torch.zeros(3, 2)), places)
    in_box = torch.stack([left[:, 0] + 0.5, left[:, 1] * 2 + 0.5], 1)
    torch.testing.assert_close(first.points, in_box)
    torch.testing.assert_close(first.edges[0], torch.tensor([[0.0, 0, 0.5, 1], [0, -0.5, 1, 1.5]]))
    mirrored = torch.stack([1 - in_box[:, 0], in_box[:, 1]], 1)
    torch.testing.assert_close(other.points[[0, 2]], mirrored[[0, 2]])
    assert other.points[1].isnan().all()  # none of these shows it
    torch.testing.assert_close(other.edges[0], torch.tensor([[0.5, 0, 1.0, 1]]))
