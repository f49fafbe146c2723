"""The same warps by kornia, which wants its parameters in another form.

Kornia's matrices are in pixels and map source to target, so they are converted beforehand, outside
what is timed: a network of kornia's kind would find them in that form. Its splines take points.
"""

import importlib
from typing import Any

import torch
from torch import Tensor

from benchmarks.plain import Size, Warp, positions


def warp_and_parameters(family: str, theta: Tensor, size: Size) -> tuple[Warp, Tensor]:
    """Return kornia's warp of a family, and the parameters that make it do what theta does.

    A thin plate spline of kornia's has its kernels at the source points, where the textbook has
    them at the targets: it agrees at the control points and differs a little between them.

    Args:
        family: `affine`, `projective` or `tps` (4x4 points).
        theta: parameters (B, P) of `stn.transformers`.
        size: (H, W) of source and target.
    """
    if family == "tps":
        targets = positions((4, 4)).expand(len(theta), -1, -1)
        return _tps_warp(targets), targets + theta.view(-1, 16, 2)
    matrix, kornia = _in_pixels(family, theta, size), _kornia()
    if family == "affine":
        warp = lambda U, matrix: kornia.warp_affine(U, matrix, size, align_corners=True)  # noqa: E731
        return warp, matrix[:, :2]
    return lambda U, matrix: kornia.warp_perspective(U, matrix, size, align_corners=True), matrix


def _in_pixels(family: str, theta: Tensor, size: Size) -> Tensor:
    """Matrices (B, 3, 3) from source to target pixels."""
    rest = theta.new_tensor([0.0, 0.0, 1.0] if family == "affine" else [1.0])
    target_to_source = torch.cat([theta, rest.expand(len(theta), -1)], dim=1).view(-1, 3, 3)
    height, width = size
    to_normalised = theta.new_tensor(
        [[2 / (width - 1), 0, -1], [0, 2 / (height - 1), -1], [0, 0, 1]]
    )
    matrix = to_normalised.inverse() @ target_to_source.inverse() @ to_normalised
    return matrix / matrix[:, 2:, 2:]


def _tps_warp(targets: Tensor) -> Warp:
    transform = _kornia()

    def warp(U: Tensor, sources: Tensor) -> Tensor:
        kernel, affine = transform.get_tps_transform(targets, sources)
        return transform.warp_image_tps(U, sources, kernel, affine, align_corners=True)

    return warp


def _kornia() -> Any:
    return importlib.import_module("kornia.geometry.transform")
