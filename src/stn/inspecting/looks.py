"""Where the transformers of a network look, measured (Sections 4.2, 4.3)."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from stn.data.contract import Places
from stn.drawing.crops import CORNERS
from stn.drawing.warps import at_work
from stn.transformers import SpatialTransformer

BATCH = 100


class NotAffineError(ValueError):
    """What a transformer reads has no four straight sides, which this is about."""


@dataclass(frozen=True)
class Looks:
    """What the transformers of a network read of the images of a split.

    Attributes:
        A: (T, N, 3, 3), from what transformer t gives to the image: of transformers that stand one
            behind the other the product.
        outputs: (N, ...) of the network.
    """

    A: Tensor
    outputs: Tensor

    def contains(self, points: Tensor) -> Tensor:
        """Tell which points (N, K, 2) lie in what is read: (T, N, K)."""
        homogeneous = torch.cat([points, torch.ones_like(points[..., :1])], dim=2)
        inside = homogeneous @ torch.linalg.inv(self.A).transpose(2, 3)
        return (inside[..., :2].abs() <= 1).all(dim=3)

    def distances(self, points: Tensor) -> Tensor:
        """Return how far points (N, K, 2) are from the middle of what is read: (T, N, K)."""
        return (self.A[:, :, None, :2, 2] - points).norm(dim=3)

    def scales(self) -> Tensor:
        """Return the sides of what is read, relative to the image's: (T, N)."""
        return torch.linalg.det(self.A).abs().sqrt()

    def covered(self, boxes: Tensor, num: int = 16) -> Tensor:
        """Return the share of boxes (N, 4) that is read: (T, N)."""
        steps = (torch.arange(num) + 0.5) / num
        x = torch.lerp(boxes[:, :1], boxes[:, 2:3], steps)
        y = torch.lerp(boxes[:, 1:2], boxes[:, 3:], steps)
        points = torch.stack([x[:, None].expand(-1, num, -1), y[..., None].expand(-1, -1, num)], 3)
        return self.contains(points.flatten(1, 2)).float().mean(dim=2)


class Facing(NamedTuple):
    """Where crops and parts lie relative to the boxes of what images show that face one way.

    The boxes' left and top are 0, their right and bottom 1.

    Attributes:
        points: (K, 2), the mean places of the parts that are visible; NaN of one that never is.
        edges: (T, N, 4), left, top, right and bottom of the crops.
    """

    points: Tensor
    edges: Tensor


def facings(looks: Looks, places: Places) -> tuple[Facing, Facing]:
    """Put images into the frame of what they show, apart by the way it faces.

    That is the first image's way or the mirrored one, whichever brings the parts nearer to those of
    the others.
    """
    corner = places.boxes[:, None, :2]
    extent = places.boxes[:, None, 2:] - corner
    points = (places.points - corner) / extent
    seen = places.is_seen[..., None]
    mirrored = torch.stack([1 - points[..., 0], points[..., 1]], dim=2)
    mean = points[0]
    for _ in range(10):
        off, off_mirrored = (
            torch.where(seen, p - mean, 0).square().sum((1, 2)) for p in (points, mirrored)
        )
        turned = off_mirrored < off
        facing = torch.where(turned[:, None, None], mirrored, points)
        mean = torch.where(seen, facing, 0).sum(0) / seen.sum(0)
    ends = ((looks.A @ CORNERS.T).mT[..., :2] - corner) / extent  # (T, N, 4, 2)
    edges = torch.cat([ends.amin(dim=2), ends.amax(dim=2)], dim=2)  # (T, N, 4)
    means = [
        torch.where(seen, points, 0)[way].sum(0) / seen[way].sum(0) for way in (~turned, turned)
    ]
    return Facing(means[0], edges[:, ~turned]), Facing(means[1], edges[:, turned])


def at_images(network: nn.Module, U: Tensor) -> list[tuple[SpatialTransformer, Tensor]]:
    """Return the transformers that get the images U themselves, with theta (B, P).

    Those further in warp feature maps, or what another one hands on.
    """
    return [(t, theta) for t, maps, theta in at_work(network, U) if maps is U]


@torch.no_grad()
def look(network: nn.Module, data: Any, split: str) -> Looks:
    """Run a network on a split.

    Raises:
        ValueError: it has no transformer.
        NotAffineError: one of its warps is not affine.
    """
    matrices, outputs = [], []
    hook = network.eval().register_forward_hook(lambda _, given, found: outputs.append(found))
    for numbers in data.order(split).split(BATCH):
        U, _ = data.drawn(split, numbers)
        found: list[Tensor] = []
        so_far = torch.eye(3).expand(len(U), 3, 3)
        for transformer, maps, theta in at_work(network, U):
            if not hasattr(transformer.transform, "matrix"):
                raise NotAffineError(f"the warps of {transformer.transform} are not affine")
            A = torch.eye(3).repeat(len(U), 1, 1)
            A[:, :2] = transformer.transform.matrix(theta)
            # What reads the image itself stands beside the others, not behind them.
            so_far = A if maps is U else so_far @ A
            found.append(so_far)
        if not found:
            raise ValueError("the network has no transformer")
        matrices.append(torch.stack(found))
    hook.remove()
    return Looks(torch.cat(matrices, dim=1), torch.cat(outputs))
