"""Sampling kernels of a learnt width, which the grid's own spacing widens: for studies of kernels.

The paper leaves the kernel of Eq. 3 open, and warns that those of small support alias where the
output is smaller than what it reads (Section 3.4). Here Eq. 3 is computed as it is written, over
all pixels of the image.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from stn.models.mnist import StCnn, StFcn
from stn.transformers import SpatialTransformer

LEAST_WIDTH = 0.3  # in pixels: a narrower Gaussian would miss the pixels on both of its sides


def gaussian(d: Tensor) -> Tensor:
    """Return exp(-d^2 / 2) / sqrt(2 pi), of d in standard deviations."""
    return torch.exp(-d.square() / 2) / math.sqrt(2 * math.pi)


def lanczos(d: Tensor) -> Tensor:
    """Return sinc(d) sinc(d / 2) up to |d| = 2, of d in lobes; 0 beyond."""
    return torch.where(d.abs() < 2, torch.sinc(d) * torch.sinc(d / 2), 0.0)


FAMILIES: dict[str, tuple[Callable[[Tensor], Tensor], float]] = {  # and the width at the start
    "gaussian": (gaussian, 0.5),
    "lanczos": (lanczos, 1.0),
}


class WideTransformer(SpatialTransformer):
    """A transformer of images whose kernel has a learnt width, and does not alias.

    V_i = sum_n sum_m U_nm k((x_s - m) / w_x) / w_x k((y_s - n) / w_y) / w_y, with x_s, y_s in
    pixels. The width w_x is the learnt one times the step of the grid in x, in pixels, where that
    is more than 1: the larger of the steps to the next sample of the row and of the column.

    Args:
        family: `gaussian` or `lanczos`.
        others: as of `SpatialTransformer`, without a kernel.

    Attributes:
        log_width: logarithm of the learnt width, in pixels.

    Raises:
        ValueError: the family is unknown, or the transform is one of volumes.
    """

    def __init__(self, family: str, *others: Any) -> None:
        super().__init__(*others)
        if family not in FAMILIES:
            raise ValueError(f"unknown kernel {family!r}; valid are {', '.join(FAMILIES)}")
        if self.num_axes != 2:
            raise ValueError("wide kernels are of images, not of volumes")
        self.kernel = family
        self.log_width = nn.Parameter(torch.tensor(math.log(FAMILIES[family][1])))

    def warp(self, U: Tensor, theta: Tensor) -> Tensor:
        """Warp U (B, C, H, W) by given parameters (B, P)."""
        size = self.output_size or (U.shape[-2], U.shape[-1])
        x, y = self.transform.grid(theta, size).unbind(dim=3)  # (B, H', W')
        rows = torch.einsum("bnh,bchw->bcnw", self._weights(y, U.shape[2]), U)
        return torch.einsum("bcnw,bnw->bcn", rows, self._weights(x, U.shape[3])).unflatten(2, size)

    def _weights(self, position: Tensor, side: int) -> Tensor:
        """Return the kernel at each pixel of a side (B, N, side) of positions (B, H', W')."""
        px = (position + 1) * (side - 1) / 2
        width = self.log_width.exp().clamp(min=LEAST_WIDTH) * step(px).clamp(min=1)
        pixels = torch.arange(side, dtype=px.dtype, device=px.device)
        k, width = FAMILIES[self.kernel][0], width.flatten(1)[..., None]
        return k((px.flatten(1)[..., None] - pixels) / width) / width


def step(px: Tensor) -> Tensor:
    """Return how far the next sample of the row, or of the column, is: positions (B, H', W')."""
    found = torch.zeros_like(px)
    for dim in (1, 2):
        steps = px.diff(dim=dim).abs()
        if steps.shape[dim]:
            last = steps.narrow(dim, steps.shape[dim] - 1, 1)
            found = torch.maximum(found, torch.cat([steps, last], dim=dim))
    return found


class _Widened:
    """Gives the transformer of a network a kernel of `family`.

    Args:
        family: as of `WideTransformer`.
        others: as of the network.
    """

    transformer: SpatialTransformer

    def __init__(self, family: str, **others: Any) -> None:
        super().__init__(**others)
        found = self.transformer
        self.transformer = WideTransformer(
            family, found.localisation, found.transform, found.output_size
        )


class WideStFcn(_Widened, StFcn):
    """An `StFcn` whose transformer has a kernel of `family`."""


class WideStCnn(_Widened, StCnn):
    """An `StCnn` whose transformer has a kernel of `family`."""
