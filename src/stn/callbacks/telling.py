"""A batch of warps in few numbers, the same for all families, and what is wrong with it."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from stn.transformers import Transform, outside_fraction
from stn.transformers.grids import base_grid

SIDE = 17  # of the grid that is measured, whatever the output's size
FAR = 10.0  # sample points further away count as this far: past a horizon they have no place
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
        `angle_deg` of the nearest rotation; `scale`, the root of the absolute determinant, above 1
        where the output shows more than the image; `shear`, 0 to 1, the difference of the two
        scales relative to their sum; `shift_x`, `shift_y` of the centre; `bending`, the mean of
        squared second derivatives, 0 of affine warps; `folded`, the share of the area that is
        turned over against the rest; `outside`, the share of the area beside the image.
    """
    grid = transform.grid(theta, (SIDE, SIDE)).double().cpu().clamp(-FAR, FAR)
    centres = grid.unfold(1, 2, 1).unfold(2, 2, 1).mean(dim=(-2, -1))  # of its cells
    target = base_grid((SIDE, SIDE), torch.float64).flatten(0, 1)
    ones = torch.ones_like(target[:, :1])
    fit = torch.linalg.pinv(torch.cat([target, ones], 1)) @ grid.flatten(1, 2)  # (B, 3, 2)
    A, shift = fit[:, :2].mT, fit[:, 2]
    larger, smaller = torch.linalg.svdvals(A).unbind(1)
    angle = torch.atan2(A[:, 1, 0] - A[:, 0, 1], A[:, 0, 0] + A[:, 1, 1])
    x, y = grid.diff(dim=2), grid.diff(dim=1)
    area = x[:, :-1, :, 0] * y[:, :, :-1, 1] - x[:, :-1, :, 1] * y[:, :, :-1, 0]
    turned = (area < 0).flatten(1).double().mean(1)
    return {
        "angle_deg": angle.rad2deg(),
        "scale": (larger * smaller).sqrt(),
        "shear": (larger - smaller) / (larger + smaller).clamp(min=1e-12),
        "shift_x": shift[:, 0],
        "shift_y": shift[:, 1],
        "bending": _bending(grid),
        "folded": torch.minimum(turned, 1 - turned),
        "outside": outside_fraction(centres).double(),
    }


def _bending(grid: Tensor) -> Tensor:
    """Mean of f_xx^2 + 2 f_xy^2 + f_yy^2 over the area, by differences, summed over both axes."""
    step = 2 / (SIDE - 1)
    parts = [
        weight * (second / step**2).square().sum(3).flatten(1).mean(1)
        for weight, second in (
            (1, grid.diff(n=2, dim=2)),
            (2, grid.diff(dim=1).diff(dim=2)),
            (1, grid.diff(n=2, dim=1)),
        )
    ]
    return torch.stack(parts).sum(0)


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
            part = "localisation" if "localisation" in name.split(".") else "classifier"
            norms.setdefault(f"gradient/{part}", []).append(parameter.grad.norm())
    return {part: _norm(parts) for part, parts in norms.items()}


def _norm(parts: Iterable[Tensor]) -> float:
    return torch.stack([*parts]).norm().item()
