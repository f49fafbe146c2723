"""What a transformer did to a batch of images: input, where it was read, output."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from stn.drawing.tiles import tile
from stn.drawing.volumes import in_front, in_three_views, three_views
from stn.transformers import SpatialTransformer, control_points, outline
from stn.transformers.outlines import border


@dataclass(frozen=True)
class Warp:
    """A batch of warps, ready to be drawn; of volumes, in three views (`stn.drawing.volumes`).

    Attributes:
        U: inputs (B, C, H, W) in [0, 1].
        outlines: closed lines (B, N, 2), (x, y) in [-1, 1], where the output's border is read; of a
            volume that of its middle slice, as one sees it from the front.
        points: what theta steers (B, K, 2): control points of a spline, corners otherwise; of a
            volume the ends of the line along which one looks through its middle.
        V: outputs (B, C, H', W').
    """

    U: Tensor
    outlines: Tensor
    points: Tensor
    V: Tensor

    def __len__(self) -> int:
        return len(self.U)

    @classmethod
    def joined(cls, parts: Sequence["Warp"]) -> "Warp":
        """Put batches of one transformer together."""
        names = ("U", "outlines", "points", "V")
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in names))

    def tiles(self, i: int, side_px: int, margin_px: int) -> list[Image.Image]:
        """Draw input, input with outline and points, and output of image i."""
        marks = self.outlines[i], self.points[i]
        return [
            tile(self.U[i], side_px, margin_px),
            tile(self.U[i], side_px, margin_px, *marks),
            tile(self.V[i], side_px, margin_px),
        ]


@torch.no_grad()
def warp(transformer: SpatialTransformer, U: Tensor, theta: Tensor | None = None) -> Warp:
    """Warp the images U (B, C, H, W), by theta (B, P) if the caller knows it already."""
    theta = transformer.theta(U) if theta is None else theta
    family, V = transformer.transform, transformer.warp(U, theta)
    if transformer.num_axes == 2:
        return Warp(U, outline(family, theta), control_points(family, theta), V)
    depth, height, width = U.shape[2:]
    size = depth, height, width
    grid = family.grid(theta, (3, 17, 17))  # (B, 3, 17, 17, 3)
    outlines, sight = border(grid[:, 1]), grid[:, ::2, 8, 8]
    return Warp(
        three_views(U), in_front(outlines, size), in_three_views(sight, size), three_views(V)
    )


@torch.no_grad()
def at_work(network: nn.Module, U: Tensor) -> list[tuple[SpatialTransformer, Tensor, Tensor]]:
    """Return what the spatial transformers of a network do to the inputs U, as in `watched`."""
    with watched(network) as found:
        if any(isinstance(module, SpatialTransformer) for module in network.modules()):
            network(U)
    return found


@contextmanager
def watched(
    network: nn.Module,
) -> Iterator[list[tuple[SpatialTransformer, Tensor, Tensor]]]:
    """Give a list that fills as the spatial transformers of a network work, in their order.

    Beside each stands what reached it (B, C, H, W), the network's input or the maps of an inner
    layer, and theta.
    """
    found: list[tuple[SpatialTransformer, Tensor, Tensor]] = []

    def note(layer: SpatialTransformer, inputs: tuple[Tensor, ...], named: dict[str, Any]) -> None:
        given = dict(zip(("U", "seen"), inputs, strict=False)) | named
        seen = given["U"] if given.get("seen") is None else given["seen"]
        found.append((layer, given["U"], layer.theta(seen)))

    hooks = [
        module.register_forward_pre_hook(note, with_kwargs=True)
        for module in network.modules()
        if isinstance(module, SpatialTransformer)
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
