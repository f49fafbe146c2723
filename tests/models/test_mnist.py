from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from stn.models.matching import num_parameters
from stn.models.mnist import Cnn, Fcn, StCnn, StFcn
from stn.transformers import Affine, ConvLocalisation, FullyConnectedLocalisation

COLUMNS = ["mnist", "mnist_r", "mnist_rts", "mnist_p", "mnist_e", "mnist_tc"]
ROWS = [("fcn", "affine"), ("cnn", "affine")] + [
    (model, transform)
    for model in ("st_fcn", "st_cnn")
    for transform in ("affine", "projective", "tps")
]


@pytest.mark.parametrize("data", COLUMNS)
def test_models_of_a_column_are_of_one_size_and_the_cnn_has_the_stated_32_to_64_filters(
    data: str, make_network: Callable[..., Any], compose_train: Callable[..., Any]
) -> None:
    budget = compose_train(f"data={data}").model.network.num_params
    for model, transform in ROWS:
        network = make_network(f"data={data}", f"model={model}", f"transform={transform}")
        assert num_parameters(network) == pytest.approx(budget, rel=0.025), (model, transform)
        if model.endswith("cnn"):
            convolution = getattr(network, "classifier", network).layers[0]
            assert 32 <= convolution.out_channels <= 64


@pytest.mark.parametrize("model", ["fcn", "cnn", "st_fcn", "st_cnn"])
def test_the_400k_variant_is_one_override(model: str, make_network: Callable[..., Any]) -> None:
    network = make_network("data=mnist_r", f"model={model}", "model.network.num_params=400_000")
    assert num_parameters(network) == pytest.approx(400_000, rel=0.02)


SMALL_FILTERS = partial(ConvLocalisation, kernel_size=3, downsample=1, filters=4)


@pytest.mark.parametrize(
    ("build", "size"),
    [
        (Fcn, (25, 31)),
        (Cnn, (25, 31)),
        (partial(Cnn, kernel_sizes=(5, 3, 2)), (25, 31)),
        (partial(StFcn, transform=Affine(), output_size=(31, 27)), (25, 31)),
        (partial(StCnn, transform=Affine(), output_size=(57, 50), pool=2), (29, 33)),
        (partial(StCnn, transform=Affine(), place=1, localisation=SMALL_FILTERS), (29, 33)),
        (
            partial(
                StCnn,
                transform=Affine(),
                place=2,
                localisation=FullyConnectedLocalisation,
                output_size=(6, 8),
                pool=2,
                kernel="bicubic",
            ),
            (29, 33),
        ),
    ],
)
def test_logits_and_gradients_on_odd_sizes(
    build: Callable[..., torch.nn.Module], size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    network = build(in_shape=(2, *size), num_classes=3, width=7)
    logits = network(torch.rand(2, 2, *size))
    assert logits.shape == (2, 3)
    logits.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_transformer_starts_by_changing_nothing_wherever_it_stands(place: int) -> None:
    torch.manual_seed(0)
    U = torch.rand(3, 1, 32, 29)
    localisation = partial(FullyConnectedLocalisation, hidden=(4,))
    network = StCnn((1, 32, 29), 10, 5, Affine(), localisation, place=place)
    plain = Cnn((1, 32, 29), 10, 5)
    of_both = [*network.before.parameters(), *network.classifier.parameters()]
    for ours, theirs in zip(plain.parameters(), of_both, strict=True):
        ours.data.copy_(theirs)
    torch.testing.assert_close(network(U), plain(U), atol=1e-5, rtol=1e-5)
    torch.nn.init.normal_(network.transformer.localisation.regression.weight, std=0.1)
    assert not torch.allclose(network(U), plain(U), atol=1e-3)


def test_settings_arrive_where_they_belong() -> None:
    localisation = partial(ConvLocalisation, filters=3, kernel_size=4, hidden=6)
    network = StCnn((1, 40, 44), 10, 5, Affine(), localisation, (30, 26), 1, "bicubic", (7, 3))
    assert (network.transformer.kernel, network.transformer.output_size) == ("bicubic", (30, 26))
    assert [p.shape[2] for p in network.classifier.parameters() if p.ndim == 4] == [7, 3]
    shapes = [p.shape for p in network.transformer.localisation.parameters()]
    assert shapes[0] == (3, 1, 4, 4)
    assert shapes[-2] == (6, 6)


def test_too_small_an_image_and_an_unknown_place_are_refused() -> None:
    Cnn((1, 24, 40), 10, 4)
    with pytest.raises(ValueError, match=r"\(1, 23, 40\) is too small .* \(9, 7\)"):
        Cnn((1, 23, 40), 10, 4)
    for place in (-1, 3):
        with pytest.raises(ValueError, match="place must be 0 to 2 convolutions"):
            StCnn((1, 28, 28), 10, 4, Affine(), place=place)
