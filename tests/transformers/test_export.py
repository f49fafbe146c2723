"""Every transform and kernel, and whole networks, leave PyTorch and compute the same outside it.

Batch and size are free: what was recorded with one shape is run with others.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from stn.fast import accelerate
from stn.models.mnist import StCnn, StFcn
from stn.transformers import (
    KERNELS,
    Affine,
    Diffeomorphic,
    FullyConnectedLocalisation,
    Projective,
    SpatialTransformer,
    ThinPlateSpline,
    Transform,
    sample,
)
from tests.transformers.runtimes import RUNTIMES, Feeds, every_runtime, onnx_file
from tests.transforms import CONFIGURED, TRANSFORMS, near_identity

TOLERANCE = 1e-5
BATCH, HEIGHT, WIDTH = Dim("batch", min=1), Dim("height", min=2), Dim("width", min=2)

by_hand = pytest.mark.integration  # the rest of all cases, which takes minutes
every_kernel = pytest.mark.parametrize(
    "kernel", [k if k == "bilinear" else pytest.param(k, marks=by_hand) for k in KERNELS]
)
# Grids and kernels do not know of each other, and affine families differ by their matrix only,
# whose graph `test_transforms` covers.
USUAL = [(Affine(), "integer"), (Diffeomorphic((5, 3), 1), "bilinear")]
USUAL += [(t, "bilinear") for t in CONFIGURED if not hasattr(t, "matrix") and t != Diffeomorphic()]
IN_THE_WEB = [*USUAL[:2], (ThinPlateSpline(), "bilinear")]


def every_pair(runtime: str | None = None) -> list[object]:
    """All transforms and kernels, of which the usual suite runs some."""
    usual = IN_THE_WEB if runtime == "onnxruntime-web" else USUAL
    where = () if runtime is None else (runtime,)
    return [
        pytest.param(t, k, *where, marks=[] if (t, k) in usual else [by_hand])
        for t in TRANSFORMS
        for k in KERNELS
    ]


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


SHAPES = ({0: BATCH, 2: HEIGHT, 3: WIDTH}, {0: BATCH})


def others(transform: Transform) -> list[tuple[Tensor, Tensor]]:
    """Cases of other batches and sizes, the identity first in each."""
    made = [case(transform, *like) for like in [(3, (9, 11)), (1, (14, 7)), (5, (28, 23))]]
    for _, theta in made:
        theta[0] = transform.identity()
    return made


@cache
def exported_warp(transform: Transform, kernel: str) -> ExportedProgram:
    warp = Warp(transform, kernel).eval()
    return torch.export.export(warp, case(transform, 3, (9, 11)), dynamic_shapes=SHAPES)


@cache
def warp_file(transform: Transform, kernel: str) -> bytes:
    return onnx_file(exported_warp(transform, kernel))


@pytest.mark.parametrize(
    ("transform", "kernel", "runtime"), [case for r in RUNTIMES for case in every_pair(r)], ids=str
)
def test_a_warp_outside_pytorch(
    transform: Transform, kernel: str, runtime: str, tmp_path: Path
) -> None:
    feeds, warp = others(transform), Warp(transform, kernel)
    found = RUNTIMES[runtime](warp_file(transform, kernel), feeds, tmp_path)
    for V, (U, theta) in zip(found, feeds, strict=True):
        torch.testing.assert_close(V, warp(U, theta), atol=TOLERANCE, rtol=0)
        assert torch.equal(V[0], U[0])  # the identity is exact there, too


@pytest.mark.parametrize(("transform", "kernel"), every_pair(), ids=str)
def test_a_warp_that_is_exported(transform: Transform, kernel: str) -> None:
    warp, exported = Warp(transform, kernel), exported_warp(transform, kernel).module()
    for U, theta in others(transform):
        V = exported(U, theta)
        torch.testing.assert_close(V, warp(U, theta), atol=TOLERANCE, rtol=0)
        assert torch.equal(V[0], U[0])


@pytest.mark.parametrize(
    "transform",
    [t if t == ThinPlateSpline() else pytest.param(t, marks=by_hand) for t in TRANSFORMS],
    ids=str,
)
def test_a_warp_compiles_whole_for_all_shapes(transform: Transform) -> None:
    torch._dynamo.reset()
    warp = Warp(transform, "bilinear").eval()
    compiled = torch.compile(warp, backend="aot_eager", fullgraph=True, dynamic=True)
    for batch, size in [(3, (9, 11)), (2, (14, 7))]:
        U, theta = (x.requires_grad_() for x in case(transform, batch, size))
        (found, *of_found), (wanted, *of_wanted) = (
            (V, *torch.autograd.grad(V.square().sum(), (U, theta)))
            for V in (compiled(U, theta), warp(U, theta))
        )
        torch.testing.assert_close(found, wanted, atol=TOLERANCE, rtol=0)
        torch.testing.assert_close(of_found, of_wanted, atol=1e-3, rtol=1e-4)


def test_strict_export() -> None:
    """Of one family: it is dynamo's, which compiles all grids in `test_transforms`."""
    transform = ThinPlateSpline()
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


MAKERS = [
    st_cnn,
    pytest.param(st_cnn_with_a_spline_inside, marks=by_hand),
    pytest.param(st_fcn, marks=by_hand),
]
NUM_EXAMPLES = 70  # above the size from which layers have their own ways


def network(make: Callable[[], Any], fast: bool) -> nn.Module:
    torch.manual_seed(0)
    made = make().eval()
    nn.init.normal_(made.transformer.localisation.regression.weight, std=0.02)
    return accelerate(made) if fast else made


def images(batch: int) -> tuple[Tensor]:
    return (torch.rand(batch, 1, 28, 30, generator=torch.Generator().manual_seed(batch)),)


@cache
def exported_network(make: Callable[[], Any], fast: bool) -> ExportedProgram:
    return torch.export.export(network(make, fast), images(3), dynamic_shapes=({0: BATCH},))


@cache
def network_file(make: Callable[[], Any]) -> bytes:
    return onnx_file(exported_network(make, fast=True))


@pytest.mark.parametrize("make", MAKERS)
@every_runtime
def test_a_network_outside_pytorch(make: Callable[[], Any], runtime: str, tmp_path: Path) -> None:
    feeds: Feeds = [images(2), images(NUM_EXAMPLES)]
    found = RUNTIMES[runtime](network_file(make), feeds, tmp_path)
    for logits, (U,) in zip(found, feeds, strict=True):
        wanted = network(make, fast=False)(U)
        torch.testing.assert_close(logits, wanted, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("fast", [pytest.param(False, marks=by_hand), True])
@pytest.mark.parametrize("make", MAKERS)
def test_a_network_that_is_exported_or_compiled(make: Callable[[], Any], fast: bool) -> None:
    net, exported = network(make, fast), exported_network(make, fast).module()
    torch._dynamo.reset()
    compiled = torch.compile(net, backend="aot_eager", fullgraph=True, dynamic=True)
    for function in (exported, compiled):
        for batch in (NUM_EXAMPLES, 2):
            U = images(batch)[0]
            torch.testing.assert_close(function(U), net(U), atol=TOLERANCE, rtol=0)


@every_kernel
@pytest.mark.parametrize(
    "runtime", [r if r == "onnxruntime" else pytest.param(r, marks=by_hand) for r in RUNTIMES]
)
def test_coordinates_that_cannot_be_read_are_zero_outside_pytorch(
    kernel: str, runtime: str, tmp_path: Path
) -> None:
    class Sample(nn.Module):
        def forward(self, U: Tensor, grid: Tensor) -> Tensor:
            return sample(U, grid, kernel)

    U, grid = torch.rand(2, 3, 5, 6), torch.zeros(2, 3, 2, 2)
    grid[0, 0, 0, 0], grid[0, 1, 1, 1], grid[1, 2, 0, 0] = torch.nan, torch.inf, -1e6
    shapes = ({0: BATCH}, {0: BATCH})
    exported = torch.export.export(Sample(), (U, grid), dynamic_shapes=shapes)
    found = RUNTIMES[runtime](onnx_file(exported), [(U, grid)], tmp_path)
    for V in (exported.module()(U, grid), *found):
        torch.testing.assert_close(V, sample(U, grid, kernel), atol=TOLERANCE, rtol=0)


def test_theta_that_is_not_finite_shows_where_it_cannot_be_refused() -> None:
    warp, (U, theta) = Warp(Affine(), "bilinear"), case(Affine(), 3, (9, 11))
    exported = torch.export.export(warp, (U, theta)).module()
    theta[1, 2] = torch.nan
    V = exported(U, theta)
    assert V[1].isnan().all()
    assert torch.isfinite(V[[0, 2]]).all()
