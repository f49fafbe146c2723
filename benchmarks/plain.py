"""The same warps as others write them: torch's own functions, nothing of ours.

`stn.transformers` is measured against these, so they are written with care for their speed:
whatever does not depend on theta is computed once, before.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stn.transformers import SpatialTransformer

Warp = Callable[[Tensor, Tensor], Tensor]
Size = tuple[int, ...]


class PlainTransformer(nn.Module):
    """A spatial transformer by `affine_grid` and `grid_sample`, as in torch's tutorial."""

    def __init__(self, localisation: nn.Module, output_size: Size) -> None:
        super().__init__()
        self.localisation = localisation
        self.output_size = output_size

    def forward(self, U: Tensor) -> Tensor:
        """Warp the images U (B, C, H, W)."""
        return affine_warp(self.output_size)(U, self.localisation(U))


def with_plain_transformer(network: nn.Module) -> nn.Module:
    """Put torch's own transformer in the place of an affine one of a network, if it has one."""
    for name, child in network.named_children():
        if isinstance(child, SpatialTransformer):
            assert child.output_size is not None
            setattr(network, name, PlainTransformer(child.localisation, child.output_size))
    return network


def affine_warp(size: Size) -> Warp:
    """Return (U, theta (B, 6)) -> V."""

    def warp(U: Tensor, theta: Tensor) -> Tensor:
        shape = [U.shape[0], U.shape[1], *size]
        return _sample(U, F.affine_grid(theta.view(-1, 2, 3), shape, align_corners=True))

    return warp


def projective_warp(size: Size) -> Warp:
    """Return (U, theta (B, 8)) -> V: homogeneous coordinates by one product, then the division."""
    points = torch.cat([positions(size), torch.ones(size[0] * size[1], 1)], dim=1)  # (HW, 3)

    def warp(U: Tensor, theta: Tensor) -> Tensor:
        homography = torch.cat([theta, torch.ones_like(theta[:, :1])], dim=1).view(-1, 3, 3)
        moved = points @ homography.transpose(1, 2)  # (B, HW, 3)
        return _sample(U, (moved[..., :2] / moved[..., 2:]).view(-1, *size, 2))

    return warp


def tps_warp(size: Size, points: Size = (4, 4)) -> Warp:
    """Return (U, theta (B, 2K) offsets) -> V, with the solved system of the spline kept.

    The spline through (c_i, s_i) is T(p) = sum_i w_i r^2 log r + a_0 + a . p, r = |p - c_i|, and
    (w, a) solves [[K, P], [P^T, 0]] (w, a) = (s, 0): linear in s, with one inverse for all.
    """
    targets, pixels = positions(points), positions(size)
    num = len(targets)
    system = torch.zeros(num + 3, num + 3, dtype=torch.float64)
    system[:num] = _features(targets, targets)
    system[num:, :num] = system[:num, num:].T
    inverse = torch.linalg.inv(system)[:, :num].float()
    features = _features(pixels, targets).float()

    def warp(U: Tensor, theta: Tensor) -> Tensor:
        sources = targets + theta.view(-1, num, 2)
        return _sample(U, (features @ (inverse @ sources)).view(-1, *size, 2))

    return warp


def _features(positions: Tensor, centres: Tensor) -> Tensor:
    """(r^2 log r of every centre, 1, x, y) at positions (N, 2): (N, K + 3), float64."""
    positions, centres = positions.double(), centres.double()
    squared = (positions[:, None] - centres).square().sum(-1)
    radial = torch.where(squared > 0, squared * squared.clamp(min=1e-300).log() / 2, 0.0)
    return torch.cat([radial, torch.ones_like(positions[:, :1]), positions], dim=1)


def positions(size: Size) -> Tensor:
    """Pixel centres of an image, or a regular grid of points: (HW, 2), (x, y)."""
    rows, columns = (torch.linspace(-1, 1, side) for side in size)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y], dim=-1).view(-1, 2)


def _sample(U: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(U, grid, padding_mode="zeros", align_corners=True)
