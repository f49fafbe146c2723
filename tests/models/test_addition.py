import pytest
import torch

from stn.models.addition import ParallelStFcn
from stn.models.matching import matched, num_parameters
from stn.transformers import Affine, Attention, ThinPlateSpline


@pytest.mark.parametrize("transform", [Affine(), ThinPlateSpline((4, 4))])
def test_each_transformer_warps_all_channels(transform) -> None:
    network = ParallelStFcn((2, 13, 18), 19, 5, transform, num_transformers=3)
    given = []
    network.classifier.register_forward_pre_hook(lambda layer, inputs: given.append(inputs[0]))
    U = torch.rand(4, 2, 13, 18)
    assert network(U).shape == (4, 19)
    torch.testing.assert_close(given[0], U.repeat(1, 3, 1, 1), atol=1e-5, rtol=0)


def test_they_move_apart() -> None:
    network = ParallelStFcn((2, 12, 12), 19, 5, Attention(), pool=2)
    with torch.no_grad():
        network.transformers[1].localisation.regression.bias.copy_(torch.tensor([0.5, 0.5, 0.5]))
    given = []
    network.pool.register_forward_pre_hook(lambda layer, inputs: given.append(inputs[0]))
    U = torch.rand(4, 2, 12, 12)
    network(U)
    torch.testing.assert_close(given[0][:, :2], U, atol=1e-5, rtol=0)
    torch.testing.assert_close(given[0][:, 2:], network.transformers[1](U))


def test_it_can_be_matched_in_size() -> None:
    def build(width: int) -> ParallelStFcn:
        return ParallelStFcn((2, 42, 42), 19, width, Affine())

    network = matched(build, 400_000)
    assert abs(num_parameters(network) - 400_000) < 4_000


def test_no_transformer_is_refused() -> None:
    with pytest.raises(ValueError, match="num_transformers must be positive"):
        ParallelStFcn((2, 12, 12), 19, 5, Affine(), num_transformers=0)
