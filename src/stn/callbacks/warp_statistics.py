"""A batch of warps in few numbers, the same for all families, and what is wrong with it."""

import torch
from torch import Tensor, nn

from stn.transformers import Transform, outside_fraction
from stn.transformers.grids import FAR, base_grid
from stn.transformers.localisation import of_localisation
from stn.transformers.transforms import num_axes

SIDE = 17  # of the grid that is measured, whatever the output's size
MOSTLY_OUTSIDE, POINT, FOLDED, CONSTANT = 0.75, 0.05, 0.05, 1e-4
COLLAPSES = {
    "zoomed_out": "the transformer looks mostly past the image",
    "point": "the transformer looks at one point or line",
    "folded": "the warps fold the image over itself",
    "constant": "the transformer warps all images alike",
}


@torch.no_grad()
def telling(transform: Transform, theta: Tensor) -> dict[str, Tensor]:
    """Describe each warp of theta (B, P) by the affine warp nearest to it, and by the rest.

    Returns:
        Each (B,), of the map from target to source, in normalised units:
        `angle_deg` of the nearest rotation; `scale`, the mean of its factors along the axes, above
        1 where the output shows more than the image; `shear`, 0 to 1, the difference of the largest
        and the smallest factor relative to their sum; `shift_x`, `shift_y` (and `shift_z`) of the
        centre; `bending`, the mean of squared second derivatives, 0 of affine warps; `folded`, the
        share of the area that is turned over against the rest; `outside`, the share of the area
        beside the image. Areas of volumes are volumes.
    """
    size = (SIDE,) * num_axes(transform)
    grid = transform.grid(theta, size).cpu().double().clamp(-FAR, FAR)  # (B, ..., axes)
    target = base_grid(size, torch.float64).flatten(0, -2)
    ones = torch.ones_like(target[:, :1])
    fit = torch.linalg.pinv(torch.cat([target, ones], 1)) @ grid.flatten(1, -2)
    A, shift = fit[:, :-1].mT, fit[:, -1]  # (B, axes, axes), (B, axes)
    factors = torch.linalg.svdvals(A)
    largest, smallest = factors[:, 0], factors[:, -1]
    centres = grid  # of the cells
    for dim in range(1, grid.ndim - 1):
        centres = centres.unfold(dim, 2, 1).mean(dim=-1)
    folded = (torch.linalg.det(_first_derivatives(grid)) < 0).flatten(1).double().mean(1)
    return {
        "angle_deg": _angle(A).rad2deg(),
        "scale": factors.prod(dim=1) ** (1 / len(size)),
        "shear": (largest - smallest) / (largest + smallest).clamp(min=1e-12),
        **{f"shift_{axis}": s for axis, s in zip("xyz", shift.unbind(1), strict=False)},
        "bending": _bending(grid),
        "folded": torch.minimum(folded, 1 - folded),
        "outside": outside_fraction(centres).double(),
    }


def _angle(A: Tensor) -> Tensor:
    """Angle of the rotation nearest to matrices (B, axes, axes); only in the plane with a sign."""
    if A.shape[1] == 2:
        return torch.atan2(A[:, 1, 0] - A[:, 0, 1], A[:, 0, 0] + A[:, 1, 1])
    left, _, right = torch.linalg.svd(A)
    right[:, -1] *= torch.linalg.det(left @ right).sign()[:, None]
    trace = (left @ right).diagonal(dim1=1, dim2=2).sum(1)
    return ((trace - 1) / 2).clamp(-1, 1).acos()


def _first_derivatives(grid: Tensor) -> Tensor:
    """Differences along each axis, x first, in each cell (B, ..., axes, axes); not in units."""
    inner = (slice(None), *[slice(SIDE - 1)] * (grid.ndim - 2))
    dims = range(grid.ndim - 2, 0, -1)
    return torch.stack([grid.diff(dim=dim)[inner] for dim in dims], dim=-2)


def _bending(grid: Tensor) -> Tensor:
    """Mean over the area of all squared second derivatives, by differences."""
    total, axes = torch.zeros(len(grid), dtype=grid.dtype), range(1, grid.ndim - 1)
    for i in axes:
        for j in axes:
            second = grid.diff(dim=i).diff(dim=j) * (SIDE - 1) ** 2 / 4
            total += second.square().sum(-1).flatten(1).mean(1)
    return total


def collapses(found: dict[str, Tensor], theta: Tensor) -> list[str]:
    """Name what is wrong with the warps of several images, of `COLLAPSES`; most often nothing."""
    is_so = {
        "zoomed_out": found["outside"].mean() > MOSTLY_OUTSIDE,
        "point": found["scale"].mean() < POINT,
        "folded": found["folded"].mean() > FOLDED,
        "constant": len(theta) > 1 and theta.std(0).max() < CONSTANT,
    }
    return [name for name, so in is_so.items() if so]


def gradient_norms(network: nn.Module) -> dict[str, float]:
    """Return the norms of the gradients of the localisation networks and of all the rest."""
    norms: dict[str, list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        if parameter.grad is not None:
            part = "localisation" if of_localisation(name) else "classifier"
            norms.setdefault(f"gradient/{part}", []).append(parameter.grad.norm())
    return {part: torch.stack(parts).norm().item() for part, parts in norms.items()}
