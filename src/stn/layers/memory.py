"""Where values lie: order of memory, slices of a batch, what the allocator keeps."""

import ctypes
import sys

from torch import Tensor

# glibc's names for the two limits (malloc.h).
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


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
    step = max(1, floats // floats_per_image)
    return [slice(start, min(start + step, batch)) for start in range(0, batch, step)]


def keep_freed_memory() -> bool:
    """Make the C library keep the memory it is given back, for a process that runs training steps.

    By default glibc returns large blocks to the system at once and fetches them again, page by
    page and zeroed, in the next step: up to half of a step's time. The process's peak does not
    change. Returns whether there was such a library to tell.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(mallopt and mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
