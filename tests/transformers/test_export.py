"""Every transform and kernel, and whole networks, leave PyTorch and compute the same outside it.

Batch and size are free: what was recorded with one shape is run with others.
"""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

from stn.fast import accelerate
from stn.models.mnist import StCnn, StFcn
from stn.transformers import (
    KERNELS,
    Affine,
    FullyConnectedLocalisation,
    Projective,
    SpatialTransformer,
    ThinPlateSpline,
    Transform,
    sample,
)
from tests.transforms import TRANSFORMS, every_transform, near_identity

TOLERANCE = 1e-5
BATCH, HEIGHT, WIDTH = Dim("batch", min=1), Dim("height", min=2), Dim("width", min=2)

every_kernel = pytest.mark.parametrize("kernel", KERNELS)
# Grids and kernels do not know of each other; all pairs take minutes.
every_pair = pytest.mark.parametrize(
    ("transform", "kernel"),
    [
        pytest.param(
            transform,
            kernel,
            id=f"{transform}-{kernel}",
            marks=[]
            if kernel == "bilinear" or transform == Affine()
            else [pytest.mark.integration],
        )
        for transform in TRANSFORMS
        for kernel in KERNELS
    ],
)


class Warp(nn.Module):
    """The layer by given theta, with an output as large as its input."""

    def __init__(self, transform: Transform, kernel: str) -> None:
        super().__init__()
        self.layer = SpatialTransformer(nn.Identity(), transform, kernel=kernel)

    def forward(self, U: Tensor, theta: Tensor) -> Tensor:
        return self.layer.warp(U, theta)


def case(transform: Transform, batch: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    U = torch.rand(batch, 2, *size, generator=torch.Generator().manual_seed(1))
    return U, near_identity(transform, batch, spread=0.1).float()


def in_onnxruntime(model: nn.Module, args: tuple[Tensor, ...], shapes: object) -> Callable:
    """The model as a function of onnxruntime, through a file of ONNX."""
    pytest.importorskip("onnxscript", reason="the exporter of ONNX is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    program = torch.onnx.export(model, args, dynamic_shapes=shapes, dynamo=True, verbose=False)
    assert program is not None
    file = io.BytesIO()
    program.save(file)
    session = runtime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def run(*args: Tensor) -> Tensor:
        (out,) = session.run(None, dict(zip(names, map(np.asarray, args), strict=True)))
        return torch.from_numpy(out)

    return run


@every_pair
def test_a_warp_outside_pytorch(transform: Transform, kernel: str) -> None:
    warp, example = Warp(transform, kernel).eval(), case(transform, 3, (9, 11))
    shapes = ({0: BATCH, 2: HEIGHT, 3: WIDTH}, {0: BATCH})
    exported = torch.export.export(warp, example, dynamic_shapes=shapes).module()
    run = in_onnxruntime(warp, example, shapes)
    for batch, size in [(3, (9, 11)), (1, (14, 7)), (5, (28, 23)), (2, (2, 40))]:
        given = case(transform, batch, size)
        given[1][0] = transform.identity()
        wanted = warp(*given)
        for found in (exported(*given), run(*given)):
            torch.testing.assert_close(found, wanted, atol=TOLERANCE, rtol=0)
            assert torch.equal(found[0], given[0][0])  # the identity is exact there, too


@every_pair
def test_a_warp_compiles_whole_for_all_shapes(transform: Transform, kernel: str) -> None:
    torch._dynamo.reset()
    warp = Warp(transform, kernel).eval()
    compiled = torch.compile(warp, backend="aot_eager", fullgraph=True, dynamic=True)
    for batch, size in [(3, (9, 11)), (2, (14, 7))]:
        U, theta = (x.requires_grad_() for x in case(transform, batch, size))
        (found, *of_found), (wanted, *of_wanted) = (
            (V, *torch.autograd.grad(V.square().sum(), (U, theta)))
            for V in (compiled(U, theta), warp(U, theta))
        )
        torch.testing.assert_close(found, wanted, atol=TOLERANCE, rtol=0)
        torch.testing.assert_close(of_found, of_wanted, atol=1e-3, rtol=1e-4)


@every_transform
def test_strict_export(transform: Transform) -> None:
    warp, example = Warp(transform, "bilinear"), case(transform, 3, (9, 11))
    exported = torch.export.export(
        warp, example, dynamic_shapes=({0: BATCH}, {0: BATCH}), strict=True
    )
    given = case(transform, 4, (9, 11))
    torch.testing.assert_close(exported.module()(*given), warp(*given), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("transform", [ThinPlateSpline(), ThinPlateSpline((2, 5))], ids=str)
def test_no_system_is_solved_in_a_graph(transform: Transform) -> None:
    exported = torch.export.export(Warp(transform, "bilinear"), case(transform, 3, (9, 11)))
    called = {str(node.target) for node in exported.graph.nodes if node.op == "call_function"}
    assert called
    assert not any("linalg" in name for name in called)


def st_cnn() -> nn.Module:
    return StCnn((1, 28, 30), 10, 32, Affine())


def st_cnn_with_a_spline_inside() -> nn.Module:
    spline = ThinPlateSpline()
    return StCnn((1, 28, 30), 10, 32, spline, FullyConnectedLocalisation, place=1)


def st_fcn() -> nn.Module:
    return StFcn((1, 28, 30), 10, 32, Projective(), kernel="bicubic", pool=2)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("make", [st_cnn, st_cnn_with_a_spline_inside, st_fcn])
def test_a_whole_network_outside_pytorch(make: Callable[[], Any], fast: bool) -> None:
    torch.manual_seed(0)
    network = make().eval()
    nn.init.normal_(network.transformer.localisation.regression.weight, std=0.02)
    if fast:
        accelerate(network)
    images = torch.rand(70, 1, 28, 30)
    wanted = network(images)
    shapes = ({0: BATCH},)
    exported = torch.export.export(network, (images[:3],), dynamic_shapes=shapes).module()
    run = in_onnxruntime(network, (images[:3],), shapes)
    torch._dynamo.reset()
    compiled = torch.compile(network, backend="aot_eager", fullgraph=True, dynamic=True)
    for function in (exported, run, compiled):
        for batch in (70, 2):  # above and below the size from which layers have their own ways
            found = function(images[:batch])
            torch.testing.assert_close(found, wanted[:batch], atol=TOLERANCE, rtol=0)


@every_kernel
def test_coordinates_that_cannot_be_read_are_zero_outside_pytorch(kernel: str) -> None:
    class Sample(nn.Module):
        def forward(self, U: Tensor, grid: Tensor) -> Tensor:
            return sample(U, grid, kernel)

    U, grid = torch.rand(2, 3, 5, 6), torch.zeros(2, 3, 2, 2)
    grid[0, 0, 0, 0], grid[0, 1, 1, 1], grid[1, 2, 0, 0] = torch.nan, torch.inf, -1e6
    shapes = ({0: BATCH}, {0: BATCH})
    exported = torch.export.export(Sample(), (U, grid), dynamic_shapes=shapes).module()
    for found in (exported(U, grid), in_onnxruntime(Sample(), (U, grid), shapes)(U, grid)):
        torch.testing.assert_close(found, sample(U, grid, kernel), atol=TOLERANCE, rtol=0)


def test_theta_that_is_not_finite_shows_where_it_cannot_be_refused() -> None:
    warp, (U, theta) = Warp(Affine(), "bilinear"), case(Affine(), 3, (9, 11))
    exported = torch.export.export(warp, (U, theta)).module()
    theta[1, 2] = torch.nan
    V = exported(U, theta)
    assert V[1].isnan().all()
    assert torch.isfinite(V[[0, 2]]).all()
