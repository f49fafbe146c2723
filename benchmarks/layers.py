"""The bare layer, ours against plain torch and kornia on the same work."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from benchmarks import kornia_warps, plain
from benchmarks.augmentations import has_kornia
from benchmarks.report import Row, Section
from benchmarks.steps import BATCH_SIZE
from benchmarks.timing import Measure, interleave, ratio, spread, timed
from stn.transformers import Affine, Projective, SpatialTransformer, ThinPlateSpline, Transform

OURS: dict[str, Transform] = {
    "affine": Affine(),
    "projective": Projective(),
    "tps": ThinPlateSpline((4, 4)),
}
PLAIN: dict[str, Callable[[plain.Size], plain.Warp]] = {
    "affine": plain.affine_warp,
    "projective": plain.projective_warp,
    "tps": plain.tps_warp,
}
NOTE = """\
Forward and backward of the warp by given parameters, at a batch of {batch_size}. As a first layer
it needs the gradient of the parameters only; inside a network, that of its input too. Plain torch
is `F.affine_grid`, homogeneous coordinates or a spline solved beforehand, then `F.grid_sample`;
kornia is `warp_affine`, `warp_perspective`, `get_tps_transform` with `warp_image_tps`. Times in
ms."""


class Case(NamedTuple):
    """Where the layer stands: shape of U without the batch, and whether U needs a gradient."""

    what: str
    shape: tuple[int, int, int]
    needs_gradient: bool


CASES = {
    "first": Case("first layer, 28 px", (1, 28, 28), False),
    "first_42": Case("first layer, 42 px", (1, 42, 42), False),
    "inside": Case("inside, 32 channels of 16 px", (32, 16, 16), True),
}


def measure(rounds: int, batch_size: int = BATCH_SIZE) -> Section:
    """Measure the three families of the paper at each place."""
    rows = []
    for family in OURS:
        for key, case in CASES.items():
            warps = contestants(family, case, batch_size)
            times = interleave({name: _round_trip(*warp) for name, warp in warps.items()}, rounds)
            values = {column: spread(seconds).times(1000) for column, seconds in times.items()}
            for other in list(times)[1:]:
                values[f"ours / {other}"] = ratio(times, "ours", other)
            rows.append(Row(f"{family}/{key}", f"{family}, {case.what}", values))
    left_out = [] if has_kornia() else ["kornia, which is not installed"]
    note = NOTE.format(batch_size=batch_size)
    return Section("layers", "The bare layer", note, rows, left_out)


def contestants(
    family: str, case: Case, batch_size: int
) -> dict[str, tuple[plain.Warp, Tensor, Tensor]]:
    """Return for each way of writing it the warp, U and the parameters; all give the same V."""
    size = case.shape[1:]
    random = torch.Generator().manual_seed(0)
    U = torch.rand(batch_size, *case.shape, generator=random).requires_grad_(case.needs_gradient)
    noise = torch.randn(batch_size, OURS[family].num_params, generator=random)
    theta = (OURS[family].identity() + 0.05 * noise).requires_grad_()
    ours = SpatialTransformer(nn.Identity(), OURS[family], size).warp
    ways: dict[str, Any] = {
        "ours": (ours, U, theta),
        "plain torch": (PLAIN[family](size), U, theta),
    }
    if has_kornia():
        warp, parameters = kornia_warps.warp_and_parameters(family, theta.detach(), size)
        ways["kornia"] = warp, U, parameters.requires_grad_()
    return ways


def _round_trip(warp: plain.Warp, U: Tensor, parameters: Tensor) -> Measure:
    wanted = [x for x in (U, parameters) if x.requires_grad]
    with torch.no_grad():
        gradient = torch.ones_like(warp(U, parameters))
    return timed(lambda: torch.autograd.grad(warp(U, parameters), wanted, gradient))
