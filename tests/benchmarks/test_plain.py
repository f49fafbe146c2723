"""Reference implementations compute what ours compute, or comparing times means nothing."""

import pytest
import torch

from benchmarks import configured, kornia_warps, plain
from benchmarks.layers import CASES, OURS, PLAIN, contestants
from stn.transformers import sample

SIZE = (7, 10)


@pytest.mark.parametrize("data", ["mnist_r", "mnist_rts"])
@pytest.mark.parametrize("model", ["fcn", "cnn", "st_fcn", "st_cnn"])
def test_a_plain_network_has_the_same_logits_and_gradients(model: str, data: str) -> None:
    described = configured.cell(f"model={model}", "transform=affine", f"data={data}")
    ours = configured.network(described)
    twin = plain.with_plain_transformer(configured.network(described, fast=False))
    assert not {type(m).__module__ for m in twin.modules()} & {
        *("stn.fast.layers", "stn.transformers.spatial_transformer"),
    }
    U = configured.images(described, 3)
    torch.testing.assert_close(twin(U), ours(U), rtol=1e-3, atol=1e-4)
    gradients = []
    for network in (ours, twin):
        network(U).square().mean().backward()
        gradients.append([p.grad for p in network.parameters()])
    for mine, theirs in zip(*gradients, strict=True):
        scale = mine.abs().max().item()
        torch.testing.assert_close(theirs, mine, rtol=0, atol=2e-3 * scale)


@pytest.mark.parametrize("family", list(OURS))
def test_a_plain_warp_is_our_warp(family: str) -> None:
    random = torch.Generator().manual_seed(0)
    U = torch.rand(3, 2, *SIZE, generator=random)
    noise = 0.1 * torch.randn(3, OURS[family].num_params, generator=random)
    theta = OURS[family].identity() + noise
    ours = sample(U, OURS[family].grid(theta, SIZE))
    torch.testing.assert_close(PLAIN[family](SIZE)(U, theta), ours, rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", list(CASES))
@pytest.mark.parametrize("family", list(OURS))
def test_all_contestants_do_the_same_work(family: str, case: str) -> None:
    ways = contestants(family, CASES[case], batch_size=2)
    warp, U, theta = ways["ours"]
    expected = warp(U, theta)
    for name, (other, image, parameters) in ways.items():
        V = other(image, parameters)
        assert V.shape == expected.shape
        assert image is U
        assert image.requires_grad == CASES[case].needs_gradient
        assert parameters.requires_grad
        if (name, family) != ("kornia", "tps"):  # its spline is another one, see below
            torch.testing.assert_close(V, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("family", ["affine", "projective"])
def test_kornia_gets_parameters_that_do_the_same_on_images_that_are_not_square(family: str) -> None:
    pytest.importorskip("kornia")
    random = torch.Generator().manual_seed(1)
    U = torch.rand(3, 2, *SIZE, generator=random)
    noise = 0.1 * torch.randn(3, OURS[family].num_params, generator=random)
    theta = OURS[family].identity() + noise
    warp, parameters = kornia_warps.warp_and_parameters(family, theta, SIZE)
    ours = sample(U, OURS[family].grid(theta, SIZE))
    torch.testing.assert_close(warp(U, parameters), ours, rtol=0, atol=1e-4)


def test_kornias_spline_is_ours_where_it_is_affine() -> None:
    pytest.importorskip("kornia")
    random = torch.Generator().manual_seed(2)
    U = torch.rand(3, 1, *SIZE, generator=random)
    targets = OURS["tps"].targets().float()  # type: ignore[attr-defined]
    theta = (targets @ (0.1 * torch.randn(3, 2, 2, generator=random))).flatten(1)
    warp, points = kornia_warps.warp_and_parameters("tps", theta, SIZE)
    ours = sample(U, OURS["tps"].grid(theta, SIZE))
    torch.testing.assert_close(warp(U, points), ours, rtol=0, atol=2e-3)
