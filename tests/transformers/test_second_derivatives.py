"""Every way to a second derivative gives the right one, for every transform and kernel."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stn.transformers import Affine, Projective, Transform, sample
from tests.transforms import (
    each_with_a_differentiable_kernel,
    each_with_a_kernel,
    every_kernel,
    every_transform,
    near_identity,
)

Loss = Callable[[Tensor], Tensor]


def forward_over_reverse(loss: Loss, theta: Tensor) -> Tensor:
    """Rows of the Hessian as derivatives of the gradient along each axis, of few parameters."""
    axes = torch.eye(theta.numel(), dtype=theta.dtype).view(-1, *theta.shape)
    rows = [torch.func.jvp(torch.func.grad(loss), (theta,), (axis,))[1] for axis in axes]
    return torch.stack(rows)


def double_backward(loss: Loss, theta: Tensor) -> Tensor:
    """Rows of the Hessian as gradients of each entry of a gradient that has a graph."""
    theta = theta.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(theta), theta, create_graph=True)
    if not gradient.requires_grad:  # it is constant
        return theta.new_zeros(theta.numel(), theta.numel())
    return torch.stack(
        [torch.autograd.grad(g, theta, retain_graph=True)[0] for g in gradient.flatten()]
    )


WAYS: dict[str, Callable[[Loss, Tensor], Tensor]] = {
    "double backward": double_backward,
    "hessian": torch.autograd.functional.hessian,
    "hessian, vectorised": lambda f, x: torch.autograd.functional.hessian(f, x, vectorize=True),
    "hessian, forward mode": lambda f, x: torch.autograd.functional.hessian(
        f, x, vectorize=True, outer_jacobian_strategy="forward-mode"
    ),
    "func.hessian": lambda f, x: torch.func.hessian(f)(x),
    "func.jacrev twice": lambda f, x: torch.func.jacrev(torch.func.grad(f))(x),
    "jvp of grad": forward_over_reverse,
}
every_way = pytest.mark.parametrize("way", WAYS)


def image(*shape: int) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def loss_of(transform: Transform, kernel: str, U: Tensor) -> Loss:
    """A loss of theta that bends: V goes through a square and a sine."""

    def loss(theta: Tensor) -> Tensor:
        V = sample(U, transform.grid(theta, (3, 4)), kernel)
        return (V.square() + torch.sin(3 * V)).sum()

    return loss


def differences(loss: Loss, theta: Tensor, step: float = 1e-6) -> Tensor:
    """The Hessian by central differences of the gradient."""

    def gradient(theta: Tensor) -> Tensor:
        theta = theta.clone().requires_grad_()
        return torch.autograd.grad(loss(theta), theta)[0]

    axes = step * torch.eye(theta.numel(), dtype=theta.dtype).view(-1, *theta.shape)
    return torch.stack([(gradient(theta + e) - gradient(theta - e)) / (2 * step) for e in axes])


@each_with_a_kernel
@pytest.mark.parametrize("way", [way for way in WAYS if way != "jvp of grad"])
def test_hessian_is_that_of_finite_differences(transform: Transform, kernel: str, way: str) -> None:
    theta = near_identity(transform, batch=1, spread=0.05)
    loss = loss_of(transform, kernel, image(1, 2, 5, 6))
    found, wanted = WAYS[way](loss, theta), differences(loss, theta)
    num = transform.num_params
    torch.testing.assert_close(found.view(num, num), wanted.view(num, num), atol=1e-4, rtol=1e-5)
    assert bool(wanted.any()) is (kernel != "integer")


@each_with_a_kernel
def test_jvp_of_grad_is_the_hessian_along_a_direction(transform: Transform, kernel: str) -> None:
    theta = near_identity(transform, batch=1, spread=0.05)
    along = torch.randn(theta.shape, dtype=theta.dtype, generator=torch.Generator().manual_seed(2))
    loss = loss_of(transform, kernel, image(1, 2, 5, 6))
    _, found = torch.func.jvp(torch.func.grad(loss), (theta,), (along,))
    num = transform.num_params
    wanted = differences(loss, theta).view(num, num) @ along.flatten()
    torch.testing.assert_close(found.flatten(), wanted, atol=1e-4, rtol=1e-5)


@every_kernel
@every_way
def test_hessian_is_torchs(kernel: str, way: str) -> None:
    theta, U = near_identity(Affine(), batch=1), image(1, 2, 5, 6)

    def torchs(theta: Tensor) -> Tensor:
        grid = F.affine_grid(theta.view(-1, 2, 3), [1, 2, 3, 4], align_corners=True)
        mode = "nearest" if kernel == "integer" else kernel
        V = F.grid_sample(U, grid, mode=mode, align_corners=True)
        return (V.square() + torch.sin(3 * V)).sum()

    found = WAYS[way](loss_of(Affine(), kernel, U), theta)
    wanted = torch.autograd.functional.hessian(torchs, theta)
    torch.testing.assert_close(found.view(6, 6), wanted.view(6, 6), atol=1e-10, rtol=0)


@every_way
def test_hessian_with_points_behind_the_horizon(way: str) -> None:
    theta = near_identity(Projective(), batch=1, spread=0.05)
    theta[0, 6] = -1.6  # w = 1 - 1.6 x: the right of the target is behind
    loss = loss_of(Projective(), "bilinear", image(1, 2, 5, 6))
    found, wanted = WAYS[way](loss, theta), differences(loss, theta)
    torch.testing.assert_close(found.view(8, 8), wanted.view(8, 8), atol=1e-3, rtol=1e-5)
    assert wanted.any()


@each_with_a_differentiable_kernel
def test_gradient_of_a_gradient_penalty(transform: Transform, kernel: str) -> None:
    """The penalty on dV/dU, which goes through the sampler's backward pass into theta and U."""
    theta = near_identity(transform, batch=2, spread=0.05).requires_grad_()
    U = image(2, 2, 5, 6).requires_grad_()

    def penalty(U: Tensor, theta: Tensor) -> Tensor:
        V = sample(U, transform.grid(theta, (3, 4)), kernel)
        (gradient,) = torch.autograd.grad(V.pow(3).sum(), U, create_graph=True)
        return gradient.square().sum()

    assert torch.autograd.gradcheck(penalty, (U, theta), atol=1e-4)


@every_transform
def test_a_step_through_a_step(transform: Transform) -> None:
    """The loss after a step of descent, differentiated by the step's length."""
    loss = loss_of(transform, "bilinear", image(1, 2, 5, 6))
    start = near_identity(transform, batch=1, spread=0.05)

    def after(length: Tensor) -> Tensor:
        theta = start.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(theta), theta, create_graph=True)
        return loss(theta - length * gradient)

    length = torch.tensor(1e-4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(after, length, atol=1e-4)
