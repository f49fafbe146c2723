import pytest
import torch

from stn.models.whole_images import WholeStCnn
from stn.transformers import Affine, ThinPlateSpline
from tests.models.test_cub import Small

U = torch.rand(3, 3, 96, 131, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("transform", [Affine(), ThinPlateSpline(4)], ids=["affine", "tps"])
def test_it_starts_as_the_network_behind_it(transform) -> None:
    network = WholeStCnn(Small, 7, (96, 131), transform).eval()
    torch.testing.assert_close(network(U), network.classifier(U), atol=1e-5, rtol=0)


def test_the_transformer_learns() -> None:
    network = WholeStCnn(Small, 7, (96, 131), Affine())
    network(U).square().sum().backward()
    assert network.transformer.localisation[-1].bias.grad.abs().min() > 0
