"""A fast network against the plain one it was made of."""

import copy
import pickle
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from stn.fast import accelerate, layers
from stn.fast.layers import FastConv2d, FastSequential


def pair(network: nn.Module) -> tuple[nn.Module, nn.Module]:
    """A plain network, and a fast copy of it."""
    return network, accelerate(copy.deepcopy(network))


def block(channels: int, filters: int, side: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, filters, side), nn.MaxPool2d(2), nn.ReLU()]


def value_and_gradients(network: nn.Module, U: Tensor, weighted: bool = True) -> list[Tensor]:
    """The output, and the gradients of a sum of it with respect to U and all parameters."""
    out = network(U)
    random = torch.Generator().manual_seed(1)
    weights = torch.randn(out.shape, generator=random).to(out) if weighted else 1
    return [out, *torch.autograd.grad((out * weights).sum(), [U, *network.parameters()])]


def assert_nearly_same(plain: nn.Module, fast: nn.Module, U: Tensor) -> None:
    """Up to rounding; of equal maxima another one may have been chosen, hence the mean square."""
    for a, b in zip(value_and_gradients(fast, U), value_and_gradients(plain, U), strict=True):
        assert a.shape == b.shape
        assert (a - b).square().mean().sqrt() <= 1e-2 * b.square().mean().sqrt() + 1e-6
    torch.testing.assert_close(fast(U), plain(U), rtol=1e-3, atol=1e-4)


@st.composite
def networks_and_shapes(draw: st.DrawFn) -> tuple[nn.Sequential, tuple[int, ...]]:
    """One or two blocks, plain layers around them, and the shape of a batch."""
    shape = [draw(st.integers(20, 29)) for _ in range(2)]
    in_channels = channels = draw(st.sampled_from([1, 2, 8]))
    batch, sides = draw(st.sampled_from([1, 3, 50])), list(shape)
    modules: list[nn.Module] = [nn.Identity()] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 2))):
        filters, side = draw(st.sampled_from([3, 15, 16, 46])), draw(st.sampled_from([1, 2, 3, 5]))
        convolution, pool, relu = block(channels, filters, side)
        modules += [convolution, *draw(st.sampled_from([(pool, relu), (relu, pool)]))]
        sides, channels = [(n - side + 1) // 2 for n in sides], filters
    if draw(st.booleans()):
        modules += [nn.Conv2d(channels, 4, 2), nn.Tanh()]
        sides, channels = [n - 1 for n in sides], 4
    modules += [nn.Flatten(), nn.Linear(channels * sides[0] * sides[1], 3)]
    return nn.Sequential(*modules), (batch, in_channels, *shape)


@given(networks_and_shapes())
@settings(max_examples=40, deadline=None)
def test_values_and_gradients_are_those_of_the_plain_network(made) -> None:
    network, shape = made
    plain, fast = pair(network)
    assert type(fast) is FastSequential
    U = torch.rand(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert_nearly_same(plain, fast, U)


def test_filters_are_filled_up_between_blocks_and_cut_off_behind_them(monkeypatch) -> None:
    shapes = []

    def spy(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        shapes.append(tuple(weight.shape))
        return real(x, weight, bias)

    real = layers.conv_max_pool
    monkeypatch.setattr(layers, "conv_max_pool", spy)
    network = accelerate(nn.Sequential(*block(1, 46, 9), *block(46, 46, 7)))
    assert network(torch.rand(3, 1, 28, 26)).shape == (3, 46, 2, 1)
    assert shapes == [(48, 1, 9, 9), (48, 48, 7, 7)]


def test_parameters_and_their_names_stay() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(1, 4, 3)
            self.inner = nn.ModuleDict({"blocks": nn.Sequential(*block(4, 46, 3))})
            self.alias = self.inner["blocks"][0]

        def forward(self, U: Tensor) -> Tensor:
            return self.inner["blocks"](self.first(U))

    network = Network()
    parameters, names = dict(network.named_parameters()), list(network.state_dict())
    U, before = torch.rand(50, 1, 15, 18), copy.deepcopy(network)
    assert accelerate(accelerate(network)) is network
    assert list(network.state_dict()) == names
    assert all(parameter is parameters[name] for name, parameter in network.named_parameters())
    assert network.alias is network.inner["blocks"][0]
    assert isinstance(network.first, FastConv2d)
    before.load_state_dict(network.state_dict())
    network.load_state_dict(before.state_dict())
    torch.testing.assert_close(network(U), before(U), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))])
def test_a_copy_is_a_fast_network_of_its_own(copied: Callable[[nn.Module], nn.Module]) -> None:
    _, fast = pair(nn.Sequential(*block(1, 46, 5), *block(46, 9, 2)))
    other, U = copied(fast), torch.rand(50, 1, 17, 14)
    assert [type(m) for m in other.modules()] == [type(m) for m in fast.modules()]
    assert torch.equal(other(U), fast(U))
    with torch.no_grad():
        other[0].weight.zero_()
    assert not torch.equal(other(U), fast(U))


def test_one_module_at_two_places() -> None:
    shared = nn.Sequential(*block(1, 1, 3))
    plain, fast = pair(nn.Sequential(shared, nn.Sequential(*shared, nn.Tanh()), shared[0]))
    assert fast[0][0] is fast[1][0] is fast[2]
    assert len(list(fast.parameters())) == 2
    U = torch.rand(50, 1, 23, 20, requires_grad=True)
    with torch.no_grad():
        shared[0].bias.fill_(1)
        fast[2].bias.fill_(1)
    assert_nearly_same(plain, fast, U)


def test_training_and_evaluation() -> None:
    plain, fast = pair(nn.Sequential(*block(2, 46, 3), nn.BatchNorm2d(46), nn.Dropout(0.5)))
    U = torch.rand(50, 2, 11, 14)
    for network in (plain, fast):
        torch.manual_seed(0)
        network.train()(U)
    torch.testing.assert_close(fast.state_dict(), plain.state_dict(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fast.eval()(U), plain.eval()(U), rtol=1e-3, atol=1e-4)
    with torch.no_grad():
        assert fast(U).grad_fn is None


class Doubled(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def parametrised(layer: nn.Module) -> nn.Module:
    return torch.nn.utils.parametrizations.weight_norm(layer)


OTHER_CONVOLUTIONS = {
    "stride": nn.Conv2d(4, 6, 3, stride=2),
    "padding": nn.Conv2d(4, 6, 3, padding=1),
    "padding by name": nn.Conv2d(4, 6, 3, padding="same"),
    "dilation": nn.Conv2d(4, 6, 3, dilation=2),
    "groups": nn.Conv2d(4, 6, 3, groups=2),
    "no bias": nn.Conv2d(4, 6, 3, bias=False),
    "sub-class": Doubled(4, 6, 3),
    "parametrised": parametrised(nn.Conv2d(4, 6, 3)),
    "transposed": nn.ConvTranspose2d(4, 6, 3),
}


@pytest.mark.parametrize("name", OTHER_CONVOLUTIONS)
def test_other_convolutions_are_left_alone(name: str) -> None:
    convolution = OTHER_CONVOLUTIONS[name]
    plain, fast = pair(nn.Sequential(convolution, nn.MaxPool2d(2), nn.ReLU()))
    assert type(fast) is nn.Sequential
    assert type(fast[0]) is not FastConv2d
    U = torch.rand(50, 4, 13, 16, requires_grad=True)
    pairs = zip(value_and_gradients(plain, U), value_and_gradients(fast, U), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    "rest",
    [
        [nn.MaxPool2d(3), nn.ReLU()],
        [nn.MaxPool2d(2, stride=1), nn.ReLU()],
        [nn.MaxPool2d(2, padding=1), nn.ReLU()],
        [nn.MaxPool2d(2, dilation=2), nn.ReLU()],
        [nn.MaxPool2d(2, ceil_mode=True), nn.ReLU()],
        [nn.MaxPool2d((2, 1)), nn.ReLU()],
        [nn.AvgPool2d(2), nn.ReLU()],
        [nn.MaxPool2d(2), nn.Tanh()],
        [nn.ReLU(), nn.ReLU()],
        [nn.MaxPool2d(2)],
    ],
    ids=str,
)
def test_other_pooling_and_rectifiers_are_no_block(rest: list[nn.Module]) -> None:
    plain, fast = pair(nn.Sequential(nn.Conv2d(1, 6, 3), *rest))
    assert type(fast) is nn.Sequential
    assert_nearly_same(plain, fast, torch.rand(50, 1, 13, 16, requires_grad=True))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_number_types_go_the_plain_way(dtype: torch.dtype) -> None:
    plain, fast = pair(nn.Sequential(*block(1, 46, 3), *block(46, 6, 2), nn.Conv2d(6, 2, 2)))
    U = torch.rand(50, 1, 14, 17, dtype=dtype, requires_grad=True)
    ways = [value_and_gradients(network.to(dtype), U) for network in (plain, fast)]
    assert all(torch.equal(a, b) for a, b in zip(*ways, strict=True))


def test_autocast_goes_the_plain_way() -> None:
    plain, fast = pair(nn.Sequential(*block(1, 46, 3), *block(46, 6, 2)))
    U = torch.rand(50, 1, 14, 17)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(fast(U), plain(U))


def test_other_devices_go_the_plain_way() -> None:
    _, fast = pair(nn.Sequential(*block(1, 46, 3), *block(46, 6, 2)))
    assert fast.to("meta")(torch.rand(50, 1, 14, 17, device="meta")).shape == (50, 6, 2, 3)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("kind", ["forward", "forward_pre", "full_backward", "full_backward_pre"])
def test_hooks_see_what_they_see_in_the_plain_network(place: int, kind: str) -> None:
    networks = pair(nn.Sequential(*block(1, 46, 3), *block(46, 6, 2)))
    seen: list[list[torch.Size]] = [[], []]
    U = torch.rand(50, 1, 14, 17, requires_grad=True)
    for network, shapes in zip(networks, seen, strict=True):
        register = getattr(network[3 + place], f"register_{kind}_hook")
        register(lambda *a, shapes=shapes: shapes.extend(x.shape for (x, *_) in a[1:]))
    assert_nearly_same(*networks, U)
    assert seen[0]
    assert seen[0] == seen[1]


def test_an_image_without_a_batch_and_a_batch_without_images() -> None:
    plain, fast = pair(nn.Sequential(*block(1, 46, 3)))
    U = torch.rand(50, 1, 14, 17)
    torch.testing.assert_close(fast(U[0]), plain(U[0]))
    assert fast(U[:0].requires_grad_()).shape == (0, 46, 6, 7)


@pytest.mark.parametrize(
    "network", [block(1, 46, 3), block(1, 4, 3), [*block(3, 46, 3), *block(48, 4, 2)]]
)
def test_a_wrong_number_of_channels_is_refused_as_in_the_plain_network(network) -> None:
    _, fast = pair(nn.Sequential(*network))
    with pytest.raises(RuntimeError, match=r"channels|shapes"):
        fast(torch.rand(50, 3, 14, 17))
