import pytest
import torch

from stn.models.learnt import LearntTarget, LowRankFcn, LowRankForm
from stn.models.mnist import StFcn
from stn.transformers import Affine
from tests.transforms import near_identity

SIZE = (5, 8)


@pytest.mark.parametrize("size", [SIZE, (4, 7), (1, 3)])
def test_a_target_that_has_learnt_nothing_is_the_regular_one(size: tuple[int, int]) -> None:
    theta = near_identity(Affine()).float()
    torch.testing.assert_close(LearntTarget(SIZE).grid(theta, size), Affine().grid(theta, size))


def test_a_learnt_target_is_warped_as_its_points_are() -> None:
    transform, theta = LearntTarget(SIZE), near_identity(Affine()).float()
    torch.nn.init.normal_(transform.moves, std=0.1)
    same = transform.grid(transform.identity()[None], SIZE)  # B itself
    ones = torch.ones(*SIZE, 1)
    wanted = torch.cat([same[0], ones], dim=2) @ theta.view(3, 2, 3).mT[:, None]
    torch.testing.assert_close(transform.grid(theta, SIZE), wanted)


def test_a_learnt_target_is_trained_with_its_network() -> None:
    torch.manual_seed(0)
    network = StFcn((1, *SIZE), 4, 64, LearntTarget(SIZE))  # of few units all may be off
    network(torch.rand(3, 1, *SIZE)).square().sum().backward()
    moves = network.transformer.transform.moves
    assert any(p is moves for p in network.parameters())
    assert moves.grad.abs().sum() > 0


def test_a_form_is_linear_in_the_image_for_a_given_theta_and_has_its_rank() -> None:
    form = LowRankForm((2, *SIZE), rank=3, hidden=(4, 4))
    U = torch.randn(50, 2, *SIZE)
    V = form(U)  # theta is 1 for every image, before training
    assert V.shape == U.shape
    assert torch.linalg.matrix_rank(V.flatten(1)) == 3
    torch.testing.assert_close(form(2 * U), 2 * V)


def test_theta_scales_what_the_form_makes() -> None:
    form = LowRankForm((1, *SIZE), rank=2, hidden=(4,))
    U = torch.randn(3, 1, *SIZE)
    before = form(U)
    torch.nn.init.constant_(form.localisation[-1].bias, -0.5)
    torch.testing.assert_close(form(U), -0.5 * before)
    assert LowRankFcn((1, *SIZE), 4, 6, 2, (4,))(U).shape == (3, 4)
