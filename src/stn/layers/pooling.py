"""2x2 max pooling in place on the four corners of every block, and its sub-gradient.

The library's pooling writes an 8-byte index for every output and scatters through it. Here the
*edges*, which corner beats which and by how much, stay in the memory of the values themselves and
the gradient follows their signs: six vectorised passes a direction, no index and no gather.
"""

from typing import NamedTuple

import torch
from torch import Tensor

_threshold_backward = torch.ops.aten.threshold_backward.grad_input


class Corners(NamedTuple):
    """Views on the corners of all 2x2 blocks of an image; an odd last row or column is left out."""

    top_left: Tensor
    top_right: Tensor
    bottom_left: Tensor
    bottom_right: Tensor

    @classmethod
    def of(cls, y: Tensor) -> "Corners":
        """Corners of the image y (B, K, H, W), each (B, K, H // 2, W // 2)."""
        height, width = y.shape[2] // 2 * 2, y.shape[3] // 2 * 2
        return cls(*(y[:, :, i:height:2, j:width:2] for i in (0, 1) for j in (0, 1)))


def pool_(y: Tensor, out: Tensor) -> None:
    """Write the maximum of each 2x2 block of y into `out`, and leave the edges in y.

    Afterwards the corners of y hold: top left its value, top right (right - left), bottom right
    (right - left), bottom left (maximum of the bottom row - maximum of the top row).

    Args:
        y: values (B, K, H, W), overwritten.
        out: (B, K, H // 2, W // 2), any strides.
    """
    corners = Corners.of(y)
    bottom = torch.maximum(corners.bottom_left, corners.bottom_right)
    torch.maximum(corners.top_left, corners.top_right, out=out)
    corners.top_right.sub_(corners.top_left)
    corners.bottom_right.sub_(corners.bottom_left)
    torch.sub(bottom, out, out=corners.bottom_left)
    torch.maximum(out, bottom, out=out)


def unpool(gradient: Tensor, edges: Tensor, out: Tensor) -> None:
    """Send the gradient of each block to its largest corner, the first one among equals.

    Equals count in reading order (left before right, then top before bottom), as in
    `torch.nn.functional.max_pool2d`.

    Args:
        gradient: with respect to the pooled values (B, K, H // 2, W // 2).
        edges: y as `pool_` left it (B, K, H, W).
        out: with respect to y (B, K, H, W), H and W even, overwritten.
    """
    to, edge = Corners.of(out), Corners.of(edges)
    _threshold_backward(gradient, edge.bottom_left, 0, grad_input=to.bottom_left)
    torch.sub(gradient, to.bottom_left, out=to.top_left)
    _threshold_backward(to.top_left, edge.top_right, 0, grad_input=to.top_right)
    to.top_left.sub_(to.top_right)
    _threshold_backward(to.bottom_left, edge.bottom_right, 0, grad_input=to.bottom_right)
    to.bottom_left.sub_(to.bottom_right)
