"""What torch offers over functions, modules and devices works, for every transform and kernel."""

import copy
from collections.abc import Callable
from itertools import cycle

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, grad, jacfwd, jacrev, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import parametrizations, prune
from torch.utils.flop_counter import FlopCounterMode

from stn.fast import accelerate
from stn.models.mnist import StCnn
from stn.transformers import (
    KERNELS,
    Affine,
    ConvLocalisation,
    FullyConnectedLocalisation,
    PiecewiseAffine,
    SpatialTransformer,
    ThinPlateSpline,
    Transform,
    regression_layer,
    sample,
)
from tests.transforms import TRANSFORMS, each_with_a_kernel, every_transform, near_identity


def images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def warp_of(transform: Transform, kernel: str) -> Callable[[Tensor, Tensor], Tensor]:
    """The warp of one image (C, H, W) by one theta (P,), without a batch."""

    def warp(U: Tensor, theta: Tensor) -> Tensor:
        return sample(U[None], transform.grid(theta[None], (3, 4)), kernel)[0]

    return warp


@each_with_a_kernel
def test_vmap_over_images_thetas_and_both(transform: Transform, kernel: str) -> None:
    U, theta = images(3, 2, 5, 6), near_identity(transform)
    warp = warp_of(transform, kernel)
    for in_dims in [(0, 0), (None, 0), (0, None)]:
        given = [x if dim == 0 else x[0] for x, dim in zip((U, theta), in_dims, strict=True)]
        alone = [warp(*(x[i] if d == 0 else x for x, d in zip(given, in_dims, strict=True)))
                 for i in range(3)]  # fmt: skip
        mapped = vmap(warp, in_dims=in_dims)(*given)
        torch.testing.assert_close(mapped, torch.stack(alone), atol=1e-12, rtol=0)


@each_with_a_kernel
@pytest.mark.parametrize("jacobian", [jacrev, jacfwd])
def test_jacobians_are_autograds(transform: Transform, kernel: str, jacobian: Callable) -> None:
    U, theta = images(2, 5, 6), near_identity(transform)[0]
    warp = warp_of(transform, kernel)
    found = jacobian(warp, argnums=(0, 1))(U, theta)
    wanted = torch.autograd.functional.jacobian(warp, (U, theta))
    torch.testing.assert_close(found, wanted, atol=1e-11, rtol=0)
    assert bool(wanted[1].any()) is (kernel != "integer")


@every_transform
def test_gradients_of_each_sample(transform: Transform) -> None:
    U, theta = images(3, 2, 5, 6), near_identity(transform)
    warp = warp_of(transform, "bilinear")

    def loss(theta: Tensor, U: Tensor) -> Tensor:
        return warp(U, theta).square().sum()

    found = vmap(grad(loss))(theta, U)
    leaf = theta.clone().requires_grad_()
    together = sample(U, transform.grid(leaf, (3, 4))).square().sum()
    torch.testing.assert_close(found, torch.autograd.grad(together, leaf)[0], atol=1e-11, rtol=0)


# Longer than the kernels, so that each mode meets each kernel.
MODES = ("real", "fake", "symbolic", "symbolic")


@pytest.mark.parametrize(
    ("transform", "kernel", "mode"),
    [*zip(TRANSFORMS, cycle(KERNELS), cycle(MODES), strict=False)],
    ids=str,
)
def test_a_recorded_function_gives_the_same(transform: Transform, kernel: str, mode: str) -> None:
    def warp(U: Tensor, theta: Tensor) -> Tensor:
        return sample(U, transform.grid(theta, (3, 4)), kernel)

    given = images(3, 2, 5, 6), near_identity(transform)
    recorded = make_fx(warp, tracing_mode=mode)(*given)
    others = images(3, 2, 5, 6).flip(0), near_identity(transform, spread=0.1)
    torch.testing.assert_close(recorded(*others), warp(*others), atol=1e-12, rtol=0)


@each_with_a_kernel
def test_shapes_and_types_without_numbers(transform: Transform, kernel: str) -> None:
    layer = SpatialTransformer(nn.Identity(), transform, (7, 4), kernel)
    U, theta = torch.rand(3, 2, 5, 6), near_identity(transform).float()
    on_meta = layer.warp(U.to("meta"), theta.to("meta"))
    with FakeTensorMode() as mode:
        fake = layer.warp(mode.from_tensor(U), mode.from_tensor(theta))
    for V in (on_meta, fake):
        assert (V.shape, V.dtype) == ((3, 2, 7, 4), torch.float32)
    assert on_meta.is_meta
    assert fake.device.type == "cpu"


def first_calls() -> dict[str, Callable[[Transform, Tensor], object]]:
    """What may be the first to ask for a grid of a size, before an ordinary call."""

    def faked(transform: Transform, theta: Tensor) -> None:
        with FakeTensorMode() as mode:
            transform.grid(mode.from_tensor(theta), (5, 9))

    def inferred(transform: Transform, theta: Tensor) -> None:
        with torch.inference_mode():
            transform.grid(theta, (5, 9))

    def elsewhere(transform: Transform, theta: Tensor) -> None:
        with torch.device("meta"):
            transform.grid(theta, (5, 9))

    return {
        "fake": faked,
        "inference": inferred,
        "another default device": elsewhere,
        "meta": lambda transform, theta: transform.grid(theta.to("meta"), (5, 9)),
        "vmap": lambda transform, theta: vmap(lambda t: transform.grid(t[None], (5, 9)))(theta),
        "jacfwd": lambda transform, theta: jacfwd(lambda t: transform.grid(t, (5, 9)))(theta),
        "recorded": lambda transform, theta: make_fx(lambda t: transform.grid(t, (5, 9)))(theta),
        "compiled": lambda transform, theta: torch.compile(
            lambda t: transform.grid(t, (5, 9)), backend="eager", fullgraph=True
        )(theta),
    }


@pytest.mark.parametrize("first", first_calls())
@pytest.mark.parametrize("family", [ThinPlateSpline, PiecewiseAffine])
def test_nothing_of_another_call_outlives_it(first: str, family: type) -> None:
    points = (3, 4 + list(first_calls()).index(first))  # of its own, so that no cache knows it
    transform = family(points)
    theta = near_identity(transform)
    wanted = transform.basis((5, 9))
    first_calls()[first](transform, theta)
    theta.requires_grad_()
    grid = transform.grid(theta, (5, 9))
    offsets = theta.view(3, -1, 2)
    regular = Affine().grid(Affine().identity()[None].double(), (5, 9))
    expected = regular + torch.einsum("bkc,khw->bhwc", offsets, wanted)
    torch.testing.assert_close(grid, expected, atol=1e-12, rtol=0)
    grid.square().sum().backward()
    assert torch.isfinite(theta.grad).all()


def network(fast: bool) -> nn.Module:
    torch.manual_seed(0)
    made = StCnn((1, 28, 30), 10, 48, Affine())
    nn.init.normal_(made.transformer.localisation.regression.weight, std=0.02)
    return accelerate(made) if fast else made


@pytest.mark.parametrize("fast", [False, True])
def test_functional_call_and_gradients_of_each_sample_of_a_network(fast: bool) -> None:
    net, U = network(fast), torch.rand(4, 1, 28, 30)
    doubled = {name: 2 * p.detach() for name, p in net.named_parameters()}
    twin = copy.deepcopy(net)
    twin.load_state_dict(doubled)
    torch.testing.assert_close(functional_call(net, doubled, (U,)), twin(U), rtol=1e-4, atol=1e-4)
    weights = {name: p.detach() for name, p in net.named_parameters()}

    def loss(weights: dict[str, Tensor], U: Tensor) -> Tensor:
        return functional_call(net, weights, (U[None],)).square().sum()

    found = vmap(grad(loss), in_dims=(None, 0))(weights, U)
    for i in range(4):
        net.zero_grad()
        net(U[i : i + 1]).square().sum().backward()
        for name, parameter in net.named_parameters():
            torch.testing.assert_close(found[name][i], parameter.grad, rtol=1e-3, atol=1e-3)


LAYERS = (nn.Linear, nn.Conv2d)


def halved(net: nn.Module) -> None:
    """A hook on every layer that halves what comes out."""
    for module in net.modules():
        if isinstance(module, LAYERS):
            module.register_forward_hook(lambda module, args, out: out / 2)


def pruned(net: nn.Module) -> None:
    for module in list(net.modules()):
        if isinstance(module, LAYERS):
            prune.l1_unstructured(module, "weight", amount=0.5)


def parametrised(net: nn.Module) -> None:
    for module in list(net.modules()):
        if isinstance(module, LAYERS):
            parametrizations.weight_norm(module)
            with torch.no_grad():
                module.parametrizations.weight.original0.mul_(0.5)


@pytest.mark.parametrize("change", [halved, pruned, parametrised])
@pytest.mark.parametrize("accelerated", ["before", "after", "not"])
def test_a_changed_layer_is_changed_wherever_it_stands(change: Callable, accelerated: str) -> None:
    """Also in a fast network, whether it was made fast before or after; and it matters."""
    U, plain, changed = torch.rand(50, 1, 28, 30), network(fast=False), network(fast=False)
    change(changed)
    net = network(fast=accelerated == "before")
    change(net)
    if accelerated == "after":
        accelerate(net)
    torch.testing.assert_close(net(U), changed(U), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(net(U), plain(U), atol=1e-2)
    by_hand = F.conv2d(U[:1], plain.classifier.layers[0].weight, plain.classifier.layers[0].bias)
    assert not torch.allclose(net.classifier.layers[0](U[:1]), by_hand, atol=1e-2)


@pytest.mark.parametrize("kind", [FullyConnectedLocalisation, ConvLocalisation])
def test_every_layer_of_a_localisation_network_is_called(kind: type) -> None:
    localisation, seen = kind((1, 28, 30), Affine()), []
    leaves = [module for module in localisation.modules() if not list(module.children())]
    for module in leaves:
        module.register_forward_hook(lambda module, args, out: seen.append(module))
    localisation(torch.rand(2, 1, 28, 30))
    assert seen == leaves


def test_any_localisation_network_works_under_autocast() -> None:
    """One that ends in a regression layer keeps all digits of theta; others what they give."""
    U = torch.rand(3, 1, 8, 9)
    ends = {
        "regression": regression_layer(72, Affine()),
        "linear": nn.Linear(72, 6),
        "in half": nn.Linear(72, 6).bfloat16(),
    }
    for name, end in ends.items():
        with torch.no_grad():
            end.weight.zero_()
            end.bias.copy_(Affine().identity() + 1e-4)
        layer = SpatialTransformer(nn.Sequential(nn.Flatten(), end), Affine())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            V, theta = layer(U), layer.theta(U)
        assert V.dtype == torch.float32
        assert theta.dtype == (torch.float32 if name == "regression" else torch.bfloat16)
        expected = sample(U, Affine().grid(theta, (8, 9)))
        torch.testing.assert_close(V, expected)
        V.sum().backward()
        assert torch.isfinite(end.weight.grad).all()


def test_a_mode_that_counts_changes_nothing() -> None:
    net, U = network(fast=True), torch.rand(50, 1, 28, 30)
    with FlopCounterMode(display=False) as counter:
        counted = net(U)
    assert counter.get_total_flops() > 0
    torch.testing.assert_close(counted, net(U), rtol=1e-3, atol=1e-4)


def test_a_gradient_penalty_of_a_fast_network_is_that_of_the_plain_one() -> None:
    U, found = torch.rand(50, 1, 28, 30), []
    for fast in (False, True):
        net, images = network(fast), U.clone().requires_grad_()
        (slope,) = torch.autograd.grad(net(images).square().sum(), images, create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), list(net.parameters())))
    for plain, fast in zip(*found, strict=True):
        assert plain.any()
        torch.testing.assert_close(fast, plain, rtol=1e-2, atol=1e-3 * plain.abs().max().item())
