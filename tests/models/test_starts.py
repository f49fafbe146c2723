import torch

from stn.models.mnist import StFcn
from stn.models.starts import MEAN, SD, NormalisedStFcn, RandomStart
from stn.transformers import Affine

SHAPE = (1, 9, 12)


def test_a_random_start_is_another_one_and_not_the_identity() -> None:
    U = torch.rand(2, *SHAPE)
    first, second = (RandomStart(SHAPE, Affine(), (5,))(U) for _ in range(2))
    assert first.shape == (2, 6)
    assert not torch.equal(first, second)
    assert not torch.allclose(first, Affine().identity().expand(2, -1), atol=0.1)


def test_a_normalised_network_is_the_plain_one_on_normalised_images() -> None:
    plain = StFcn(SHAPE, 4, 6, Affine())
    normalised = NormalisedStFcn(SHAPE, 4, 6, Affine())
    normalised.load_state_dict(plain.state_dict())
    U = torch.rand(3, *SHAPE)
    torch.testing.assert_close(normalised(U), plain((U - MEAN) / SD))
