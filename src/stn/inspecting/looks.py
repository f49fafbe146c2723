"""Where the transformers of a network look, measured (Sections 4.2, 4.3)."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stn.drawing.warps import at_work

BATCH = 100


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


@torch.no_grad()
def look(network: nn.Module, data: Any, split: str) -> Looks:
    """Run a network on a split.

    Raises:
        ValueError: it has no transformer, or one whose warps are not affine.
    """
    matrices, outputs = [], []
    hook = network.eval().register_forward_hook(lambda _, given, found: outputs.append(found))
    for numbers in data.order(split).split(BATCH):
        U, _ = data.drawn(split, numbers)
        found: list[Tensor] = []
        so_far = torch.eye(3).expand(len(U), 3, 3)
        for transformer, maps, theta in at_work(network, U):
            if not hasattr(transformer.transform, "matrix"):
                raise ValueError(f"the warps of {transformer.transform} are not affine")
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
