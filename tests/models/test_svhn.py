from functools import partial

import pytest
import torch
from torch import nn

from stn.models.svhn import HouseNumberCnn, PaddedConvLocalisation
from stn.transformers import Affine, FullyConnectedLocalisation, SpatialTransformer

MULTI = partial(FullyConnectedLocalisation, hidden=(32, 32))
NETWORKS = {"cnn": ((), None), "single": ((0,), PaddedConvLocalisation), "multi": (range(4), MULTI)}


def build(name: str, in_shape=(3, 54, 54), width: float = 0.125, **changes) -> HouseNumberCnn:
    places, localisation = NETWORKS[name]
    return HouseNumberCnn(
        in_shape,
        5,
        11,
        width,
        **{"places": places, "localisation": localisation} | changes,
        transform=Affine(),
    )


def on_meta(name: str, **changes) -> HouseNumberCnn:
    with torch.device("meta"):
        return build(name, width=1.0, **changes)


# What the authors say is 28, 29 and 31 million; these follow from their list of layers.
@pytest.mark.parametrize(
    ("name", "millions"), [("cnn", 28.69), ("single", 29.47), ("multi", 32.28)]
)
def test_the_networks_are_as_large_as_the_papers_layers_make_them(name, millions) -> None:
    count = sum(p.numel() for p in on_meta(name).parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.005)


def test_the_first_weights_of_the_four_transformers_are_the_authors() -> None:
    counts = [
        transformer.localisation.features[1].weight.numel()
        for transformer in on_meta("multi").transformers.values()
    ]
    assert counts == [279_936, 1_119_744, 1_492_992, 692_224]


@pytest.mark.parametrize(
    ("size", "sides"),
    [((54, 54), (54, 27, 27, 13, 13, 6, 6, 3)), ((110, 55), (110, 55, 55, 27, 27, 13, 13, 6))],
)
def test_the_sizes_of_all_maps(size, sides) -> None:
    seen = []
    network = build("cnn", (3, *size))
    for convolution in network.convolutions:
        convolution.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[2]))
    network(torch.zeros(1, 3, *size))
    assert tuple(seen) == sides


@pytest.mark.parametrize("name", ["single", "multi"])
@pytest.mark.parametrize("size", [(54, 54), (40, 61)])
def test_transformers_change_nothing_at_the_start(name, size) -> None:
    plain, with_transformers = (build(n, (3, *size)).eval() for n in ("cnn", name))
    missing = with_transformers.load_state_dict(plain.state_dict(), strict=False)
    assert not missing.unexpected_keys
    U = torch.rand(3, 3, *size) - 0.5
    torch.testing.assert_close(with_transformers(U), plain(U), rtol=0, atol=1e-5)


@pytest.mark.parametrize("places", [(), (7,), (1, 5), range(8)])
def test_transformers_stand_wherever_they_are_asked_for(places) -> None:
    network = build("multi", places=places)
    assert [*network.transformers] == [str(i) for i in places]
    assert network(torch.rand(2, 3, 54, 54)).shape == (2, 5, 11)
    kinds = [type(t) for t in network.transformers.values()]
    assert kinds == [SpatialTransformer] * len(places)


def test_units_drop_out_behind_all_but_the_first_layer_and_the_localisation_networks() -> None:
    network = build("multi", dropout=0.3, conv_dropout=0.1)
    blocks = [*network.convolutions]
    assert [isinstance(block[-1], nn.Dropout) for block in blocks] == [False] + [True] * 7
    assert sum(isinstance(m, nn.Dropout) for m in network.linear) == 3
    assert not [m for m in network.transformers.modules() if isinstance(m, nn.Dropout)]
    assert {m.p for m in network.linear.modules() if isinstance(m, nn.Dropout)} == {0.3}
    assert {block[-1].p for block in blocks[1:]} == {0.1}


def test_the_signal_of_a_new_network_neither_fades_nor_grows() -> None:
    torch.manual_seed(0)
    network = build("cnn", width=0.5).eval()
    U = torch.randn(64, 3, 54, 54)
    seen = [
        layer.register_forward_hook(lambda m, i, o: found.append(o.std().item()))
        for layer in network.linear
        if isinstance(layer, nn.Linear)
    ]
    found: list[float] = []
    network(U)
    assert len(found) == len(seen) == 3
    assert all(0.2 < std < 5 for std in found)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no convolution \[8\]"):
        build("multi", places=[0, 8])
    with pytest.raises(ValueError, match="need a transform and a localisation network"):
        build("cnn", places=[0])
    with pytest.raises(ValueError, match="too small for four poolings"):
        build("cnn", (3, 15, 54))
