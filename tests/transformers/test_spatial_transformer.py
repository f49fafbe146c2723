import copy
import io
import re

import kornia.geometry.transform as kornia
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from stn.transformers import (
    Affine,
    Attention,
    ConvLocalisation,
    FullyConnectedLocalisation,
    NonFiniteThetaError,
    Projective,
    SpatialTransformer,
    ThinPlateSpline,
    Transform,
    regression_layer,
)
from tests.transforms import (
    each_with_a_differentiable_kernel,
    each_with_a_kernel,
    every_kernel,
    every_transform,
    near_identity,
)


class Given(nn.Module):
    """A localisation network that returns what it was given, whatever the image."""

    def __init__(self, theta: Tensor) -> None:
        super().__init__()
        self.theta = nn.Parameter(theta)

    def forward(self, U: Tensor) -> Tensor:
        return self.theta


def near(transform: Transform) -> Tensor:
    return near_identity(transform, batch=2, spread=0.1)


def images(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)


@each_with_a_kernel
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "shape", [(1, 28, 42), (3, 17, 9), (2, 60, 61), (1, 1, 5), (1, 160, 224), (64, 42, 31)]
)
def test_identity_returns_the_input(
    transform: Transform, kernel: str, dtype: torch.dtype, shape: tuple[int, int, int]
) -> None:
    localisation = FullyConnectedLocalisation(shape, transform, hidden=(2,)).to(dtype)
    U = images(2, *shape, dtype=dtype)
    V = SpatialTransformer(localisation, transform, kernel=kernel)(U)
    torch.testing.assert_close(V, U, atol=1e-6, rtol=0)


@each_with_a_differentiable_kernel
def test_gradients_of_the_whole_layer(transform: Transform, kernel: str) -> None:
    torch.manual_seed(0)
    localisation = FullyConnectedLocalisation((2, 4, 5), transform, hidden=(3,)).double()
    nn.init.normal_(localisation.regression.weight, std=0.1)
    with torch.no_grad():  # away from the pixels, where the bilinear kernel has a kink
        localisation.regression.bias += 0.05 * torch.randn(transform.num_params)
    layer = SpatialTransformer(localisation, transform, (3, 4), kernel)
    U = images(2, 2, 4, 5).requires_grad_()
    weights = tuple(layer.parameters())
    assert torch.autograd.gradcheck(lambda U, *_: layer(U), (U, *weights))


def test_affine_is_torchs_in_value_and_gradient() -> None:
    theta, U = near(Affine()), images(2, 3, 7, 10)
    layer = SpatialTransformer(Given(theta), Affine(), (5, 8))
    ours, theirs = U.clone().requires_grad_(), U.clone().requires_grad_()
    other = theta.clone().requires_grad_()
    V = layer(ours)
    grid = F.affine_grid(other.view(-1, 2, 3), [2, 3, 5, 8], align_corners=True)
    expected = F.grid_sample(theirs, grid, align_corners=True)
    torch.testing.assert_close(V, expected, atol=1e-12, rtol=0)
    V.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-11, rtol=0)
    torch.testing.assert_close(layer.localisation.theta.grad, other.grad, atol=1e-11, rtol=0)


def pixel_homography(theta: Tensor, in_size, out_size) -> Tensor:
    """Kornia's matrix: from source to target, in pixels."""

    def to_pixels(size: tuple[int, int]) -> Tensor:
        height, width = ((n - 1) / 2 for n in size)
        return torch.tensor([[width, 0, width], [0, height, height], [0, 0, 1]]).double()

    forward = to_pixels(in_size) @ theta @ torch.linalg.inv(to_pixels(out_size))
    return torch.linalg.inv(forward)


def test_affine_is_kornias_warp_affine() -> None:
    theta, U = near(Affine()), images(2, 3, 7, 10)
    V = SpatialTransformer(Given(theta), Affine(), (5, 8))(U)
    bottom = torch.tensor([0.0, 0.0, 1.0]).double().expand(2, 1, 3)
    matrix = pixel_homography(torch.cat([theta.view(2, 2, 3), bottom], 1), (7, 10), (5, 8))
    expected = kornia.warp_affine(U, matrix[:, :2], (5, 8), align_corners=True)
    torch.testing.assert_close(V, expected, atol=1e-9, rtol=0)


def test_projective_is_kornias_warp_perspective() -> None:
    theta, U = near(Projective()), images(2, 3, 7, 10)
    V = SpatialTransformer(Given(theta), Projective(), (5, 8))(U)
    full = torch.cat([theta, torch.ones(2, 1)], dim=1).view(2, 3, 3)
    matrix = pixel_homography(full, (7, 10), (5, 8))
    expected = kornia.warp_perspective(U, matrix, (5, 8), align_corners=True)
    torch.testing.assert_close(V, expected, atol=1e-7, rtol=0)


def test_spline_is_kornias_warp_image_tps() -> None:
    """Kornia's own weights put the kernels at the source points; here they are at the targets."""
    transform = ThinPlateSpline((3, 4))
    theta, U = near(transform), images(2, 3, 7, 10)
    V = SpatialTransformer(Given(theta), transform)(U)
    targets = transform.targets()
    distance = torch.cdist(targets, targets)
    affine = torch.cat([torch.ones(12, 1), targets], dim=1)
    system = torch.zeros(15, 15).double()
    system[:12, :12] = torch.xlogy(distance**2, distance)
    system[:12, 12:], system[12:, :12] = affine, affine.T
    values = F.pad(targets + theta.view(2, 12, 2), (0, 0, 0, 3))
    weights = torch.linalg.solve(system, values)
    centres = targets.expand(2, -1, -1)
    expected = kornia.warp_image_tps(
        U, centres, weights[:, :12], weights[:, 12:], align_corners=True
    )
    torch.testing.assert_close(V, expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("output_size", [(1, 1), (3, 11), [20, 2], None])
@every_kernel
def test_any_output_size(kernel: str, output_size) -> None:
    layer = SpatialTransformer(Given(near(Affine())), Affine(), output_size, kernel)
    V = layer(images(2, 3, 7, 10))
    assert V.shape == (2, 3, *(output_size or (7, 10)))


def test_an_output_of_one_pixel_is_the_centre() -> None:
    U = images(1, 1, 5, 7)
    V = SpatialTransformer(Given(Affine().identity()[None].double()), Affine(), (1, 1))(U)
    torch.testing.assert_close(V, U[:, :, 2:3, 3:4])


@each_with_a_kernel
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_rounds_images_and_theta_but_no_coordinate(
    transform: Transform, kernel: str, dtype: torch.dtype
) -> None:
    theta, U = near(transform).to(dtype), images(2, 1, 7, 10).to(dtype)
    V = SpatialTransformer(Given(theta), transform, kernel=kernel)(U)
    expected = SpatialTransformer(Given(theta.float()), transform, kernel=kernel)(U.float())
    assert torch.equal(V, expected.to(dtype))


@every_transform
def test_autocast_changes_nothing_in_the_warp(transform: Transform) -> None:
    layer = SpatialTransformer(Given(near(transform)).float(), transform)
    U = images(2, 1, 7, 10, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        V = layer(U)
    assert torch.equal(V, layer(U))


@every_transform
def test_copies_and_state(transform: Transform) -> None:
    localisation = FullyConnectedLocalisation((1, 7, 10), transform, hidden=(3,))
    layer = SpatialTransformer(localisation, transform, (5, 6), "bicubic")
    U = images(2, 1, 7, 10, dtype=torch.float32)
    V = layer(U)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    for twin in (copy.deepcopy(layer), torch.load(file, weights_only=False)):
        assert torch.equal(twin(U), V)
    assert all(name.startswith("localisation.") for name in layer.state_dict())


def test_evaluation_modes_agree_with_training() -> None:
    layer = SpatialTransformer(Given(near(ThinPlateSpline())), ThinPlateSpline(), (3, 14))
    U = images(2, 1, 7, 10)
    with torch.inference_mode():
        inferred = layer(U)
    with torch.no_grad():
        evaluated = layer(U)
    V = layer(U)
    assert V.requires_grad
    assert torch.equal(inferred, V)
    assert torch.equal(evaluated, V)


def test_the_integer_kernel_gives_theta_a_gradient_of_zero() -> None:
    localisation = Given(near(Affine()))
    layer = SpatialTransformer(localisation, Affine(), kernel="integer")
    layer(images(2, 1, 7, 10)).sum().backward()
    assert torch.equal(localisation.theta.grad, torch.zeros(2, 6).double())


def test_a_layer_anywhere_in_a_network() -> None:
    torch.manual_seed(0)
    inner = SpatialTransformer(FullyConnectedLocalisation((4, 6, 8), Attention()), Attention())
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), inner, nn.Conv2d(4, 2, 3))
    network(torch.rand(2, 1, 8, 10)).square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    assert network[0].weight.grad.any()


def test_compiled_it_gives_the_same() -> None:
    layer = SpatialTransformer(Given(near(Projective())), Projective(), (5, 6))
    U = images(2, 1, 7, 10)
    torch.testing.assert_close(torch.compile(layer, backend="eager")(U), layer(U))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_theta_that_is_not_finite_is_an_error_that_says_how_many(bad: float) -> None:
    theta = Affine().identity().repeat(4, 1)
    theta[1, 2] = bad
    layer = SpatialTransformer(Given(theta), Affine())
    with pytest.raises(NonFiniteThetaError, match=r"1 of 4 images \(25%\)"):
        layer(torch.zeros(4, 1, 5, 6))
    assert issubclass(NonFiniteThetaError, ArithmeticError)


def test_theta_of_another_family_is_answered_with_both_shapes() -> None:
    layer = SpatialTransformer(Given(torch.zeros(2, 8)), Affine())
    with pytest.raises(ValueError, match=r"\(B, 6\).*\(2, 8\)"):
        layer(torch.zeros(2, 1, 5, 6))


def test_theta_of_another_batch_is_answered_with_both_shapes() -> None:
    layer = SpatialTransformer(Given(torch.zeros(3, 6)), Affine())
    with pytest.raises(ValueError, match=r"\(2, 1, 5, 6\).*\(3, 5, 6, 2\)"):
        layer(torch.zeros(2, 1, 5, 6))


def test_unknown_kernels_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="integer, bilinear, bicubic"):
        SpatialTransformer(nn.Identity(), Affine(), kernel="linear")


def test_one_number_is_a_square_output() -> None:
    layer = SpatialTransformer(nn.Identity(), Affine(), 32)
    assert layer.output_size == (32, 32)
    assert layer.warp(images(1, 2, 5, 7), Affine().identity()[None]).shape == (1, 2, 32, 32)


@pytest.mark.parametrize("size", [(0, 4), (3.5, 4.5), (3,), (3, 4, 5), "32", 3.0, -2, (None, 4)])
def test_other_output_sizes_are_answered_with_what_they_should_be(size) -> None:
    words = rf"^output_size must be 2 whole numbers \(H, W\) from 1 up, .*{re.escape(repr(size))}$"
    with pytest.raises(ValueError, match=words):
        SpatialTransformer(nn.Identity(), Affine(), size)


@pytest.mark.parametrize("build", [FullyConnectedLocalisation, ConvLocalisation])
@pytest.mark.parametrize("shape", [(28, 28), 28, (1, 28.5, 28), "1,28,28"])
def test_other_input_shapes_are_answered_with_what_they_should_be(build, shape) -> None:
    with pytest.raises(ValueError, match=r"^in_shape must be 3 whole numbers \(C, H, W\)"):
        build(shape, Affine())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Affine, r"^transform must be an object, not a class: write Affine\(...\)$"),
        ("affine", r"^transform must be an object such as Affine\(\), not 'affine', which has no"),
        (None, r"^transform must be an object such as Affine\(\), not None"),
    ],
)
def test_a_class_or_a_name_for_a_transform_is_answered_with_what_to_write(given, words) -> None:
    for build in (
        lambda: SpatialTransformer(nn.Identity(), given),
        lambda: regression_layer(7, given),
        lambda: FullyConnectedLocalisation((1, 5, 6), given),
        lambda: ConvLocalisation((1, 28, 28), given),
    ):
        with pytest.raises(ValueError, match=words):
            build()


def test_a_class_for_a_localisation_network_is_answered_with_what_to_write() -> None:
    with pytest.raises(ValueError, match=r"^localisation must be an object, not a class"):
        SpatialTransformer(ConvLocalisation, Affine())
    with pytest.raises(ValueError, match=r"^localisation must be an object such as a torch"):
        SpatialTransformer(Affine(), Affine())


@each_with_a_kernel
@given(seed=st.integers(0, 10_000), low=st.integers(-38, 37), high=st.integers(0, 10))
@settings(max_examples=15, deadline=None)
def test_a_theta_of_any_size_is_answered_with_finite_numbers(
    transform: Transform, kernel: str, seed: int, low: int, high: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    shape = (2, transform.num_params)
    powers = torch.randint(low, min(low + high + 1, 38), shape, generator=generator)
    theta = torch.randn(shape, generator=generator) * 10.0 ** powers.float()
    layer = SpatialTransformer(Given(theta.clamp(-3e38, 3e38)), transform, (3, 5), kernel)
    U = images(2, 2, 6, 7, dtype=torch.float32).requires_grad_()
    V = layer(U)
    V.sum().backward()
    assert torch.isfinite(V).all()
    assert V.abs().max() < 4  # the bicubic kernel goes beyond its image's values
    assert torch.isfinite(U.grad).all()
    assert torch.isfinite(layer.localisation.theta.grad).all()


def test_a_finite_theta_whose_sum_overflows_is_no_error() -> None:
    layer = SpatialTransformer(torch.nn.Identity(), Affine(), (3, 4))
    theta = torch.full((2, 6), 3e38)
    assert torch.equal(
        layer.warp(torch.rand(2, 1, 5, 6), theta)[:, :, :, 1:3], torch.zeros(2, 1, 3, 2)
    )
    theta[1, 3] = torch.nan
    with pytest.raises(NonFiniteThetaError, match="1 of 2 images"):
        layer.warp(torch.rand(2, 1, 5, 6), theta)
