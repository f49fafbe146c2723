"""Kernels of learnt width: Eq. 3 as it is written, and no alias."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from stn.fast import accelerate
from stn.models.wide_kernels import (
    FAMILIES,
    WideStCnn,
    WideStFcn,
    WideTransformer,
    step,
)
from stn.transformers import Affine, Affine3d, Attention, Projective, SpatialTransformer

every_family = pytest.mark.parametrize("family", list(FAMILIES))


def wide(family: str, output_size: int | tuple[int, int] | None = None) -> WideTransformer:
    return WideTransformer(family, nn.Identity(), Affine(), output_size).double()


def affine(*rows: list[float]) -> Tensor:
    return torch.tensor([[*rows[0], *rows[1]]], dtype=torch.float64)


@every_family
def test_it_is_the_sum_over_all_pixels(family: str) -> None:
    """Pixel by pixel, on an image that is not square; the grid's step widens the kernel."""
    k = FAMILIES[family][0]
    layer, size = wide(family, (3, 4)), (5, 7)
    U = torch.rand(1, 2, *size, dtype=torch.float64)
    theta = affine([0.8, -0.3, 0.1], [0.2, 1.1, -0.2])
    V = layer.warp(U, theta)
    grid = Affine().grid(theta, (3, 4))[0]
    for i in range(3):
        for j in range(4):
            px = (grid + 1) / 2 * torch.tensor([size[1] - 1, size[0] - 1])
            place, total = px[i, j], torch.zeros(2, dtype=torch.float64)
            right = (px[i, 1] - px[i, 0]).abs()
            below = (px[1, j] - px[0, j]).abs()
            w = layer.log_width.exp() * torch.maximum(right, below).clamp(min=1)
            for m in range(size[1]):
                for n in range(size[0]):
                    of_x, of_y = (k((place[a] - (m, n)[a]) / w[a]) / w[a] for a in (0, 1))
                    total += U[0, :, n, m] * of_x * of_y
            torch.testing.assert_close(V[0, :, i, j], total)


@every_family
def test_gradients_are_those_of_finite_differences(family: str) -> None:
    torch.manual_seed(0)
    layer = wide(family, (3, 2))
    U = torch.rand(2, 1, 5, 4, dtype=torch.float64, requires_grad=True)
    theta = (Affine().identity().double() + 0.1 * torch.randn(2, 6)).double().requires_grad_()
    assert torch.autograd.gradcheck(layer.warp, (U, theta))

    def of_width(log_width: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"log_width": log_width}, (U, theta))

    assert torch.autograd.gradcheck(of_width, layer.log_width.detach().requires_grad_())


@every_family
@pytest.mark.parametrize("zoom", [1.0, 2.0, 3.5])
def test_an_even_image_stays_as_bright(family: str, zoom: float) -> None:
    side = 41
    layer = wide(family, round(side / zoom))
    V = layer.warp(torch.ones(1, 1, side, side, dtype=torch.float64), affine([1, 0, 0], [0, 1, 0]))
    inner = V[..., 4:-4, 4:-4] if zoom < 3 else V[..., 5:7, 5:7]
    torch.testing.assert_close(inner, torch.ones_like(inner), atol=0.04, rtol=0)


@every_family
def test_what_is_too_fine_for_the_output_is_averaged_away(family: str) -> None:
    """Bilinear sampling of the same image gives waves of more than half its amplitude."""
    side = 64
    waves = torch.sin(2 * math.pi * 0.4 * torch.arange(side, dtype=torch.float64))
    U = waves.expand(1, 1, side, side)
    V = wide(family, 16).warp(U, affine([1, 0, 0], [0, 1, 0]))[0, 0, 4:-4, 4:-4]
    assert V.abs().max() < 0.1
    plain = SpatialTransformer(nn.Identity(), Affine(), 16)
    assert plain.warp(U, affine([1, 0, 0], [0, 1, 0])).abs().max() > 0.5


def test_the_step_of_a_grid_is_the_larger_of_two() -> None:
    px = torch.tensor([[[0.0, 1.0, 3.0], [4.0, 4.5, 4.0]]])
    assert step(px).tolist() == [[[4.0, 3.5, 2.0], [4.0, 3.5, 1.0]]]
    assert step(torch.zeros(2, 1, 1)).tolist() == [[[0.0]], [[0.0]]]


@every_family
@pytest.mark.parametrize("build", [WideStFcn, WideStCnn])
def test_a_network_learns_its_width(build: Callable[..., nn.Module], family: str) -> None:
    torch.manual_seed(0)
    network = build(
        family=family, in_shape=(1, 28, 28), num_classes=10, width=4, transform=Attention()
    )
    U = torch.rand(3, 1, 28, 28)
    logits = network(U)
    torch.testing.assert_close(accelerate(network)(U), logits, rtol=1e-4, atol=1e-5)
    logits.square().sum().backward()
    assert network.get_parameter("transformer.log_width").grad != 0


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown kernel 'box'; valid are gaussian, lanczos"):
        WideTransformer("box", nn.Identity(), Projective())
    with pytest.raises(ValueError, match="of images, not of volumes"):
        WideTransformer("gaussian", nn.Identity(), Affine3d())
