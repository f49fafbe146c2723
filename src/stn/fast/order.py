"""Which pixels pooling keeps, how the memory of an output is ordered, and slices of a batch."""

from torch import Tensor


def pooled_like(x: Tensor, num_filters: int, kernel_size: int) -> Tensor:
    """Return an empty output (B, K, H', W') whose memory is ordered (W', H', B, K)."""
    height, width = ((side - kernel_size + 1) // 2 for side in x.shape[2:])
    return x.new_empty(width, height, x.shape[0], num_filters).permute(2, 3, 1, 0)


def used_part(x: Tensor, kernel_size: int) -> Tensor:
    """Crop what only outputs read that pooling drops: at most a last row and column of x."""
    height, width = ((side - kernel_size + 1) // 2 * 2 + kernel_size - 1 for side in x.shape[2:])
    return x[:, :, :height, :width]


def slices(batch: int, floats_per_image: int, floats: int) -> list[slice]:
    """Cut a batch so that a slice of it takes about as many floats as are wanted in the cache."""
    num = max(1, batch * floats_per_image // floats)
    step = -(-batch // num)
    return [slice(start, min(start + step, batch)) for start in range(0, batch, step)]
