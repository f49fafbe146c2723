from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from stn.models.mnist import Cnn, Fcn, StCnn, StFcn, matched, num_parameters
from stn.transformers import Affine

COLUMNS = ["mnist", "mnist_r", "mnist_rts", "mnist_p", "mnist_e", "mnist_tc"]
ROWS = [("fcn", "affine"), ("cnn", "affine")] + [
    (model, transform)
    for model in ("st_fcn", "st_cnn")
    for transform in ("affine", "projective", "tps")
]


@pytest.mark.parametrize("data", COLUMNS)
def test_all_models_of_a_column_have_the_same_number_of_parameters(
    data: str, make_network: Callable[..., Any], compose_train: Callable[..., Any]
) -> None:
    budget = compose_train(f"data={data}").data.num_params
    for model, transform in ROWS:
        network = make_network(f"data={data}", f"model={model}", f"transform={transform}")
        assert num_parameters(network) == pytest.approx(budget, rel=0.025), (model, transform)


@pytest.mark.parametrize("data", COLUMNS)
def test_the_cnn_stays_inside_the_stated_32_to_64_filters(
    data: str, make_network: Callable[..., Any]
) -> None:
    cnn = make_network(f"data={data}", "model=cnn")
    st_cnn = make_network(f"data={data}", "model=st_cnn").classifier
    assert all(32 <= net.layers[0][0].out_channels <= 64 for net in (cnn, st_cnn))


@pytest.mark.parametrize("model", ["fcn", "cnn", "st_fcn", "st_cnn"])
def test_the_400k_variant_is_one_override(model: str, make_network: Callable[..., Any]) -> None:
    network = make_network("data=mnist_r", f"model={model}", "data.num_params=400_000")
    assert num_parameters(network) == pytest.approx(400_000, rel=0.02)


@pytest.mark.parametrize(
    ("build", "size"),
    [
        (partial(Fcn, width=7), (25, 31)),
        (partial(Cnn, width=7), (25, 31)),
        (partial(StFcn, width=7, transform=Affine(), output_size=(31, 27)), (25, 31)),
        (partial(StCnn, width=7, transform=Affine(), output_size=(57, 50), pool=2), (29, 33)),
    ],
)
def test_logits_and_gradients_on_odd_sizes(
    build: Callable[..., torch.nn.Module], size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    network = build(image_size=size, in_channels=2, num_classes=3)
    logits = network(torch.rand(2, 2, *size))
    assert logits.shape == (2, 3)
    logits.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_an_st_network_starts_as_its_classifier() -> None:
    torch.manual_seed(0)
    U = torch.rand(3, 1, 28, 28)
    network = StCnn((28, 28), 5, Affine(), (28, 28))
    torch.testing.assert_close(network(U), network.classifier(U), atol=1e-5, rtol=1e-5)


def test_matched_finds_the_nearest_width_and_takes_an_explicit_one() -> None:
    build = partial(Fcn, (28, 28))
    counts = {width: num_parameters(build(width=width)) for width in range(120, 140)}
    nearest = min(counts, key=lambda width: abs(counts[width] - 119_000))
    assert num_parameters(matched(build, 119_000)) == counts[nearest]
    assert num_parameters(matched(build, 119_000, width=133)) == counts[133]


def test_too_small_a_budget_and_too_small_an_image_are_refused() -> None:
    with pytest.raises(ValueError, match="budget of 10 parameters"):
        matched(partial(Fcn, (28, 28)), 10)
    with pytest.raises(ValueError, match="at least 24x24"):
        Cnn((23, 40), 4)
