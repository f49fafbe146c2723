import pytest
import torch

from stn.transformers import (
    Affine,
    ConvLocalisation,
    FullyConnectedLocalisation,
    Projective,
    ThinPlateSpline,
    Transform,
    regression_layer,
)

NETWORKS = [FullyConnectedLocalisation, ConvLocalisation]


@pytest.mark.parametrize("transform", [Affine(), Projective(), ThinPlateSpline()], ids=str)
def test_regression_starts_at_the_identity_for_any_input(transform: Transform) -> None:
    layer = regression_layer(7, transform)
    theta = layer(torch.randn(5, 7))
    assert torch.equal(theta, transform.identity().expand(5, -1))
    assert not layer.weight.any()


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("in_shape", [(1, 28, 28), (2, 41, 30), [3, 60, 42]])
def test_it_starts_at_the_identity_and_learns_from_there(network, in_shape) -> None:
    torch.manual_seed(0)
    localisation = network(in_shape, Affine())
    U = torch.rand(4, *in_shape)
    theta = localisation(U)
    assert torch.equal(theta, Affine().identity().expand(4, -1))
    (theta * torch.randn(4, 6)).sum().backward()
    assert localisation.regression.weight.grad.any()
    assert localisation.regression.bias.grad.any()


def test_sizes_of_the_papers_networks() -> None:
    """28x28 input and affine theta; counts by hand from Appendix A.4.

    784 * 32 + 32 + 2 * (32 * 32 + 32) + 32 * 6 + 6 = 27,430, and
    (25 + 1) * 20 + (20 * 25 + 1) * 20 + 20 * 20 + 20 + 20 * 6 + 6 = 11,086: 14 - 4 = 10, pooled 5,
    and 1 after the second convolution.
    """

    def count(network: torch.nn.Module) -> int:
        return sum(p.numel() for p in network.parameters())

    assert count(FullyConnectedLocalisation((1, 28, 28), Affine())) == 27_430
    assert count(ConvLocalisation((1, 28, 28), Affine())) == 11_086


def test_a_theta_is_what_the_layers_of_the_paper_give() -> None:
    torch.manual_seed(0)
    localisation = ConvLocalisation((1, 32, 36), Affine())
    torch.nn.init.normal_(localisation.regression.weight)
    U = torch.rand(2, 1, 32, 36)
    halved = torch.nn.functional.avg_pool2d(U, 2)
    _, first, _, _, second, *_ = localisation.features
    x = torch.nn.functional.conv2d(halved, first.weight, first.bias).relu()
    x = second(torch.nn.functional.max_pool2d(x, 2)).relu()
    expected = localisation.regression(localisation.features[6:](x))
    torch.testing.assert_close(localisation(U), expected)


@pytest.mark.parametrize("network", NETWORKS)
def test_theta_keeps_its_digits_under_autocast(network) -> None:
    localisation = network((1, 28, 28), Affine())
    torch.nn.init.constant_(localisation.regression.bias, 1.001)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        theta = localisation(torch.rand(2, 1, 28, 28))
    assert torch.equal(theta, torch.full((2, 6), 1.001))


@pytest.mark.parametrize("network", NETWORKS)
def test_half_precision_networks_work(network) -> None:
    localisation = network((1, 28, 28), Affine()).to(torch.bfloat16)
    assert localisation(torch.rand(2, 1, 28, 28, dtype=torch.bfloat16)).dtype == torch.bfloat16


@pytest.mark.parametrize("network", NETWORKS)
def test_a_wrong_image_is_answered_with_both_shapes(network) -> None:
    localisation = network((1, 28, 30), Affine())
    with pytest.raises(ValueError, match=r"\(B, 1, 28, 30\).*\(2, 1, 30, 28\)"):
        localisation(torch.zeros(2, 1, 30, 28))


def test_an_image_too_small_for_the_convolutions_is_refused() -> None:
    ConvLocalisation((1, 28, 28), Affine())
    with pytest.raises(ValueError, match=r"\(1, 28, 27\)"):
        ConvLocalisation((1, 28, 27), Affine())
