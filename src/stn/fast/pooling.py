"""2x2 max pooling on views of the four corners of every block, its sub-gradient, and its shapes.

The library's pooling writes an 8-byte index for every output and scatters through it. Here three
*edges*, which corner beats which and by how much, are kept, and the gradient follows their signs:
six vectorised passes a direction, no index and no gather.
"""

from collections.abc import Sequence
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


def _empty(shape: Sequence[int], like: Tensor) -> Tensor:
    """Tensor without values, its last four axes in memory in the order of `like`'s."""
    order = sorted(range(4), key=like.stride, reverse=True)
    ahead, size = list(shape[:-4]), shape[-4:]
    empty = like.new_empty(ahead + [size[axis] for axis in order])
    return empty.permute(*range(len(ahead)), *(len(ahead) + order.index(i) for i in range(4)))


def used_part(x: Tensor, kernel_size: int) -> Tensor:
    """Crop what only outputs read that pooling drops: at most a last row and column of x."""
    height, width = ((side - kernel_size + 1) // 2 * 2 + kernel_size - 1 for side in x.shape[2:])
    return x[:, :, :height, :width]


def pooled_like(x: Tensor, num_filters: int, kernel_size: int) -> Tensor:
    """Return an empty output (B, K, H', W') whose memory is ordered (W', H', B, K)."""
    height, width = ((side - kernel_size + 1) // 2 for side in x.shape[2:])
    return x.new_empty(width, height, x.shape[0], num_filters).permute(2, 3, 1, 0)


def pool(corners: Corners, out: Tensor) -> Tensor:
    """Write the maximum of each 2x2 block into `out`, of the corners' shape and any strides.

    Returns:
        Edges (3, *shape) for `unpool`: right minus left in the top row, right minus left in the
        bottom row, maximum of the bottom row minus maximum of the top row.
    """
    edges = _empty((3, *out.shape), corners.top_left)
    torch.sub(corners.top_right, corners.top_left, out=edges[0])
    torch.sub(corners.bottom_right, corners.bottom_left, out=edges[1])
    top = torch.maximum(corners.top_left, corners.top_right)
    bottom = torch.maximum(corners.bottom_left, corners.bottom_right)
    torch.sub(bottom, top, out=edges[2])
    torch.maximum(top, bottom, out=out)
    return edges


def unpooled_like(edges: Tensor) -> Tensor:
    """Return an empty gradient (B, K, H, W) for `unpool`, its memory in the order of edges'."""
    batch, filters, height, width = edges.shape[1:]
    return _empty((batch, filters, 2 * height, 2 * width), edges[0])


def unpool(gradient: Tensor, edges: Tensor, to: Corners) -> None:
    """Send the gradient of each block to its largest corner, the first one among equals.

    Equals count in reading order (left before right, then top before bottom), as in
    `torch.nn.functional.max_pool2d`.

    Args:
        gradient: with respect to the pooled values.
        edges: from `pool`.
        to: gradient with respect to the corners, overwritten.
    """
    top, bottom, rows = edges
    to.top_left.copy_(gradient)
    _threshold_backward(to.top_left, rows, 0, grad_input=to.bottom_left)
    to.top_left.sub_(to.bottom_left)
    _threshold_backward(to.top_left, top, 0, grad_input=to.top_right)
    to.top_left.sub_(to.top_right)
    _threshold_backward(to.bottom_left, bottom, 0, grad_input=to.bottom_right)
    to.bottom_left.sub_(to.bottom_right)
