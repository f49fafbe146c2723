"""Volumes as images: three views, as on an engineer's drawing.

The front, as one looks along z, with the side to its right and the top below it: x runs to the
right, y downwards, and z away from the front. Each view is a sum along a line of sight.
"""

import torch
from torch import Tensor

GAP, GAP_GREY = 1, 0.3


def three_views(V: Tensor) -> Tensor:
    """Return volumes (B, C, D, H, W) as images (B, C, H + 1 + D, W + 1 + D) in [0, 1].

    The brightest pixel of a volume's views is white.
    """
    depth, height, width = V.shape[2:]
    sheet = V.new_full((*V.shape[:2], height + GAP + depth, width + GAP + depth), GAP_GREY)
    sheet[:, :, height + GAP :, width + GAP :] = 0
    views = V.sum(dim=2), V.sum(dim=4).mT, V.sum(dim=3)
    brightest = torch.stack([view.flatten(1).amax(dim=1) for view in views]).amax(dim=0)
    front, side, top = (view / brightest.clamp(min=1e-6).view(-1, 1, 1, 1) for view in views)
    sheet[:, :, :height, :width] = front
    sheet[:, :, :height, width + GAP :] = side
    sheet[:, :, height + GAP :, :width] = top
    return sheet


def in_front(points: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Return where points (B, N, 3) of a volume of a size (D, H, W) are in the front view.

    Positions are (x, y), normalised, of the volume and of the sheet (B, N, 2).
    """
    return _on_sheet(points, size, (0, 1))


def in_three_views(points: Tensor, size: tuple[int, int, int]) -> Tensor:
    """Return where points (B, N, 3) are in front, side and top view (B, 3 N, 2)."""
    return torch.cat([_on_sheet(points, size, axes) for axes in ((0, 1), (2, 1), (0, 2))], dim=1)


def _on_sheet(points: Tensor, size: tuple[int, int, int], axes: tuple[int, int]) -> Tensor:
    sides = points.new_tensor(size[::-1])  # W, H, D
    px = (points + 1) / 2 * (sides - 1)
    behind = [sides[i] + GAP if axis == 2 else 0 for i, axis in enumerate(axes)]  # the front view
    sheet = sides[:2] + GAP + sides[2]
    return 2 * (px[..., axes] + points.new_tensor(behind)) / (sheet - 1) - 1
